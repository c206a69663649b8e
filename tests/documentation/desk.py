"""A folder with everything that README and docs name: own files, data folders, models in the hub's cache, finished runs.

Models are tiny and random, runs have a few trials, so that every command of the pages takes a moment.
"""

import csv
import json
import random
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.conftest import write_pairs
from tests.documentation.pages import ROOT

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
LANGUAGE_MODELS = ("HuggingFaceTB/SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M-Instruct")
REVISION = "0" * 40
TOPICS = {"sport": ["team", "goal"], "food": ["bread", "soup"], "travel": ["train", "border"]}


def make_models(cache: Path, backbone: Path) -> None:
    """Put the models that the pages name into a folder laid out as the hub's cache, each as small as one can be."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    shutil.copytree(backbone, _snapshot(cache, "model", DEFAULT_MODEL))
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    tokenizer.add_special_tokens({"bos_token": "[CLS]", "eos_token": "[SEP]"})
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=256
    )
    for name in LANGUAGE_MODELS:
        if name.endswith("Instruct"):
            tokenizer.chat_template = "{% for message in messages %}{{ message.content }} {% endfor %}"
        folder = _snapshot(cache, "model", name)
        LlamaForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def make_data_sets(cache: Path) -> None:
    """Put the data sets that the pages name into it, too."""
    questions = [{"question": f"the {number} cats", "answer": f"{number % 7} birds"} for number in range(40)]
    for name, configuration, splits in (("openai/gsm8k", "main", ("train", "test")), ("OWNER/NAME", "default", ("train", "dev"))):
        folder = _snapshot(cache, "dataset", name)
        rows = questions if name != "OWNER/NAME" else [{"text": question, "label": topic} for question, topic in _questions(40)]
        for split in splits:
            (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        files = [{"split": split, "path": f"{split}.jsonl"} for split in splits]
        (folder / "README.md").write_text(f"---\nconfigs: {json.dumps([{'config_name': configuration, 'data_files': files}])}\n---\n")


def _snapshot(cache: Path, kind: str, name: str) -> Path:
    """Return the folder of the hub's cache that holds a repository, with its parents there."""
    repository = cache / f"{kind}s--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION)
    folder = repository / "snapshots" / REVISION
    if kind == "dataset":
        folder.mkdir(parents=True)
    else:
        folder.parent.mkdir()
    return folder


def make_files(desk: Path, backbone: Path) -> None:
    """Write the files that the pages name: what is learnt, what is answered, a data folder, a table of a database, a plugin."""
    for file, n in {"train.csv": 36, "valid.csv": 12, "test.csv": 12}.items():
        _write(desk / file, ["question", "topic"], _questions(n))
    # What is answered has the columns of every run that answers it.
    rows = [["the old cat", "the cat", "the new dog"], ["a red bird", "a bird", "the bird sees"]]
    _write(desk / "new.csv", ["question", "sentence1", "sentence2"], rows)
    (desk / "new.jsonl").write_text("".join(json.dumps({"sentence1": one, "sentence2": other}) + "\n" for _, one, other in rows))
    turns = [{"instruction": f"say the {number} cats", "output": f"{number % 7} old birds and {number}"} for number in range(40)]
    (desk / "instructions.jsonl").write_text("".join(json.dumps(turn) + "\n" for turn in turns))
    for task, label in {"mrpc": "label", "stsb": "label"}.items():
        for role, n in {"train": 24, "validation": 12, "test": 12}.items():
            file = desk / "data" / task / f"{role}.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            pairs = list(csv.reader(write_pairs(file, n, seed=len(role), label=label).read_text().splitlines()))[1:]
            number = {"mrpc": {"same": 1, "different": 0}, "stsb": {"same": 4.5, "different": 0.5}}[task]
            _write(file, ["sentence1", "sentence2", label], [[*texts, number[answer]] for *texts, answer in pairs])
    with sqlite3.connect(desk / "tickets.db") as base:
        base.execute("create table tickets (question text, topic text)")
        base.executemany("insert into tickets values (?, ?)", _questions(36))
    base.close()
    shutil.copytree(backbone, desk / "runs" / "pretrained")
    (desk / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "own_method.py", desk / "examples")


def make_runs() -> None:
    """Search as the pages say was done: `runs/demo`, `runs/train`, `runs/instructions` and, stopped before its end, `runs/mrpc`.

    It is called in the desk's folder.
    """
    import autopeft

    quick: dict[str, Any] = {"space": "lora", "sampler": "random", "epochs": 1, "workers": 0, "progress": False}
    demo = autopeft.search(task="demo", trials=13, confirm=0, start="none", **quick)
    demo.retrain(trials=[12], seeds=1, epochs=1, progress=False)
    demo.export(12, to="merged")
    train = autopeft.search(train="train.csv", text="question", label="topic", trials=2, confirm=1, **quick)
    for pick in ("best", "knee"):
        train.retrain(pick=pick, seeds=1, epochs=1, progress=False)
    train.export("knee", to="script", retrained=True, out="exported")
    chat = LANGUAGE_MODELS[1]
    autopeft.search(train="instructions.jsonl", model=chat, quantize="nf4", trials=1, confirm=0, **quick)
    with suppress(KeyboardInterrupt):
        autopeft.search(task="mrpc", trials=3, confirm=0, **quick | {"progress": _Stop(after=2)})


class _Stop:
    """Stops a search after so many trials, as Ctrl-C does."""

    def __init__(self, after: int) -> None:
        self._left = after

    def started(self, *given: object) -> None:
        pass

    def trial_finished(self, *given: object) -> None:
        self._left -= 1
        if not self._left:
            raise KeyboardInterrupt


def _questions(n: int) -> list[tuple[str, str]]:
    rng = random.Random(n)
    topics = [list(TOPICS)[number % len(TOPICS)] for number in range(n)]
    return [(f"What about the {rng.choice(TOPICS[topic])} of number {number}?", topic) for number, topic in enumerate(topics)]


def _write(path: Path, header: list[str], rows: Any) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
