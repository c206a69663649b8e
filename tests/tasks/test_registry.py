import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.tasks import Split, Table, family_of, get_task, load, register_task, registry, task_names
from autopeft.tasks.entry import Entry, Role
from tests.tasks.helpers import examples

GLUE = {
    "cola": (("sentence",), 2, "matthews_correlation", {"matthews_correlation"}),
    "mnli": (("premise", "hypothesis"), 3, "accuracy", {"accuracy"}),
    "mrpc": (("sentence1", "sentence2"), 2, "accuracy", {"accuracy", "f1"}),
    "qnli": (("question", "sentence"), 2, "accuracy", {"accuracy"}),
    "qqp": (("question1", "question2"), 2, "accuracy", {"accuracy", "f1"}),
    "rte": (("sentence1", "sentence2"), 2, "accuracy", {"accuracy"}),
    "sst2": (("sentence",), 2, "accuracy", {"accuracy"}),
    "stsb": (("sentence1", "sentence2"), 0, "spearman", {"pearson", "spearman"}),
    "wnli": (("sentence1", "sentence2"), 2, "accuracy", {"accuracy"}),
}


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Entry]:
    entries = dict(registry._ENTRIES)
    monkeypatch.setattr(registry, "_ENTRIES", entries)
    return entries


N = 20
CHOICES = {"sent1": "a", "sent2": "b", "ending0": "c", "ending1": "d", "ending2": "e", "ending3": "f"}
ROWS: dict[str, dict[str, Any]] = {
    "boolq": {"question": "a", "passage": "b", "idx": 0, "label": 1},
    "cb": {"premise": "a", "hypothesis": "b", "idx": 0, "label": 2},
    "copa": {"premise": "a", "choice1": "b", "choice2": "c", "question": "cause", "idx": 0, "label": 1},
    "multirc": {"paragraph": "a", "question": "b", "answer": "c", "idx": {"paragraph": 0, "question": 0, "answer": 0}, "label": 1},
    "wic": {"word": "a", "sentence1": "a b", "sentence2": "c a", "start1": 0, "end1": 1, "start2": 2, "end2": 3, "idx": 0, "label": 1},
    "wsc": {"text": "a b", "span1_index": 0, "span2_index": 1, "span1_text": "a", "span2_text": "b", "idx": 0, "label": 1},
    "squad": {"id": "0", "title": "t", "context": "a b", "question": "c", "answers": {"text": ["b"], "answer_start": [2]}},
    "squad_v2": {"id": "0", "title": "t", "context": "a b", "question": "c", "answers": {"text": [], "answer_start": []}},
    "swag": {"video-id": "0", "fold-ind": "1", "startphrase": "a b", **CHOICES, "gold-source": "gold", "label": 3},
    "conll2003": {"id": "0", "tokens": ["a", "b"], "pos_tags": [0, 1], "chunk_tags": [0, 1], "ner_tags": [3, 4]},
    "gsm8k": {"question": "a", "answer": "b #### 1"},
    "capybara": {"source": "s", "num_turns": 1, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
    "cnn_dailymail": {"article": "a", "highlights": "b", "id": "0"},
}
"""A row of each data set as the hub's documentation describes them."""
OTHER = {"squad_v2": {"answers": {"text": ["a"], "answer_start": [0]}}, "conll2003": {"ner_tags": [0, 8]}}
HIDDEN = {name for name, row in ROWS.items() if "label" in row}


def test_the_names_are_glue_and_other_benchmarks_and_demo() -> None:
    assert set(task_names()) == {*GLUE, *ROWS, "demo"}
    assert list(task_names()) == sorted(task_names())


@pytest.mark.parametrize("name", GLUE)
def test_glue_columns_labels_and_official_metrics(name: str) -> None:
    columns, n_labels, metric, official = GLUE[name]
    task = get_task(name)
    assert (task.input_columns, task.target_column, len(task.labels), task.metric) == (columns, "label", n_labels, metric)
    assert official <= set(task.metrics)
    assert "loss" in task.metrics


def test_glue_label_order() -> None:
    assert get_task("mnli").labels == ("entailment", "neutral", "contradiction")
    assert get_task("rte").labels == get_task("qnli").labels == ("entailment", "not_entailment")
    assert get_task("wnli").labels == ("not_entailment", "entailment")
    assert get_task("cola").labels == ("unacceptable", "acceptable")


@pytest.mark.parametrize("name", ROWS)
def test_a_benchmark_reads_rows_as_the_hub_has_them(name: str, tmp_path: Path) -> None:
    """From a folder, where ids stand for labels as on the hub, and where test labels are -1."""
    other = {"label": 0} if name in HIDDEN else OTHER.get(name, {})
    rows = [ROWS[name] | (other if index % 2 else {}) for index in range(N)]
    test = [row | ({"label": -1} if name in HIDDEN else {}) for row in rows]
    for split, some in (("train", rows), ("validation", rows), ("test", test)):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / f"{split}.jsonl").write_text("\n".join(map(json.dumps, some)))
    data = load(name, data_dir=tmp_path, with_test=True)
    assert (len(data.train), len(data.validation)) == (N - 2 * (name in HIDDEN), N)
    assert any("the public test labels are hidden" in note for note in data.notes) == (name in HIDDEN)
    assert {*data.task.input_columns, data.task.target_column.removesuffix(", learnt")} <= ROWS[name].keys()


def test_of_three_columns_two_are_read_together() -> None:
    split = Split((["a b", "c"], ["d e f", "g"], ["h i", "j"]), np.array([0, 1]))
    family = family_of(get_task("wic"))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({word: place for place, word in enumerate("abcdefghij?")}, "?"))
    )
    tokenizer.backend_tokenizer.pre_tokenizer = Whitespace()
    tokenizer.pad_token = "?"
    assert [row["input_ids"] for row in family.encode(tokenizer, split, 9).rows] == [[0, 1, 3, 4, 5, 7, 8], [2, 6, 9]]
    cut = next(family.prompts(tokenizer, split, 6))["prompt"]
    assert cut == "sentence1: a b\nsentence2: d e f\nword: h\nlabel:"


def test_an_unknown_name_gets_near_matches() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown task \(got 'mprc'\)\. Did you mean 'mrpc'"):
        get_task("mprc")
    with pytest.raises(UnknownNameError, match="unknown task"):
        load("../mrpc")


def test_a_registered_task_loads_like_a_built_in_one(own_registry: dict[str, Entry]) -> None:
    def generate() -> dict[Role, Table]:
        rows = {"sentence": [f"text {index}" for index in range(40)], "label": ["positive", "negative"] * 20}
        return {"train": Table("made up", rows, range(1, 41))}

    register_task(replace(get_task("sst2"), name="mine"), generate=generate)
    data = load("mine")
    assert "mine" in task_names()
    assert (len(data.train), len(data.validation), data.test) == (32, 4, None)
    assert {("text 0", 1), ("text 1", 0)} <= set(examples(data.train)) | set(examples(load("mine", with_test=True).test or data.train))


@pytest.mark.parametrize("name", ["mrpc", "demo"])
def test_a_taken_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"must not be taken .got '{name}'"):
        register_task(replace(get_task("sst2"), name=name))


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b"])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="name a folder"):
        register_task(replace(get_task("sst2"), name=name))


def test_listing_tasks_imports_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "datasets", "sklearn", "scipy", "pyarrow", "pandas", "huggingface_hub"}
    program = "import sys, autopeft.tasks as tasks; tasks.task_names(); tasks.get_task('demo'); print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & heavy


def test_loading_imports_no_torch() -> None:
    program = "import sys, autopeft.tasks as tasks; tasks.load('demo'); print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {"torch", "transformers"}
