"""Small searches drawn at random: every one must end in a front, in recorded failures, or in one clear error.

    python -m tests.faults.fuzz_searches [--searches 1000] [--first 0] [--seconds N]

A search is drawn from its number alone: a tiny random model of some family, saved in some way, with some tokenizer; data files of some
format with some quirk; flags and a search space. One trial of 20 examples is trained. Printed are how searches ended and every fault
with the number that brings it back: a traceback, a trial that failed by a bug, a number that isn't finite where a result is shown, or more
memory than 8 GB.
A range of numbers is a part of the same fuzz: --first goes on where another run stopped.
"""

import argparse
import csv
import json
import math
import random
import re
import resource
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers.models.auto import modeling_auto

from autopeft.api import SearchResult, SilentSearch
from autopeft.cli.show import show
from autopeft.errors import AutopeftError
from autopeft.loops.search import search
from autopeft.methods.registry import all_methods
from autopeft.request import SearchRequest
from autopeft.tasks import family_names
from autopeft.training_parameters import TRAINING_PARAMETERS
from tests.methods.families import FAMILIES, GROUPED, SMALL, VOCABULARY, Family
from tests.tasks.media import png, wav

WORDS = ["good", "bad", "film", "the", "a", "was", "not", "very", "long", "dull", "bright", "I", "you", "it", "is", "."]
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]
N_EXAMPLES = 20
MOST_MEMORY = 8 * 2**30
"""Bytes of address space; a search of tiny models that asks for more is a fault."""
LONGEST_ERROR = 3000
"""Characters of one clear error; it may list what would have been right."""
_BUG = re.compile(r"(Key|Index|Type|Attribute|Assertion|Name|UnboundLocal|ZeroDivision|Recursion)Error\b")
"""How a reason begins that a program's mistake left, and not what it was given."""
MORE_FAMILIES = {
    "camembert": Family(tf.CamembertModel, tf.CamembertConfig, {**SMALL, "pad_token_id": 1}),
    "ernie": Family(tf.ErnieModel, tf.ErnieConfig, SMALL),
    "roformer": Family(tf.RoFormerModel, tf.RoFormerConfig, {**SMALL, "embedding_size": 32}),
    "convbert": Family(tf.ConvBertModel, tf.ConvBertConfig, {**SMALL, "embedding_size": 16}),
    "xlnet": Family(tf.XLNetModel, tf.XLNetConfig, {"d_model": 32, "n_layer": 3, "n_head": 4, "d_inner": 48, **VOCABULARY}),
    "funnel": Family(
        tf.FunnelModel, tf.FunnelConfig, {"d_model": 32, "block_sizes": [1, 1], "n_head": 4, "d_head": 8, "d_inner": 48, **VOCABULARY}
    ),
    "opt": Family(
        tf.OPTModel,
        tf.OPTConfig,
        {"hidden_size": 32, "word_embed_proj_dim": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "ffn_dim": 48, **VOCABULARY},
    ),
    "bloom": Family(tf.BloomModel, tf.BloomConfig, {"hidden_size": 32, "n_layer": 3, "n_head": 4, **VOCABULARY}),
    "falcon": Family(tf.FalconModel, tf.FalconConfig, {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, **VOCABULARY}),
    "mistral": Family(tf.MistralModel, tf.MistralConfig, {**GROUPED, "sliding_window": 8}),
    "gemma2": Family(tf.Gemma2Model, tf.Gemma2Config, {**GROUPED, "head_dim": 8, "sliding_window": 8}),
    "olmo2": Family(tf.Olmo2Model, tf.Olmo2Config, GROUPED),
    "mamba": Family(tf.MambaModel, tf.MambaConfig, {"hidden_size": 32, "num_hidden_layers": 3, "state_size": 4, **VOCABULARY}),
}
HEADS: Mapping[str, Mapping[str, Any]] = {
    "label": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "labels": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "tags": modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
    "completion": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    "messages": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    "text": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    "summary": modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
}
"""By the last column of data, the types of models that have a head for it."""
BUILT_IN = ["default", "lora", "all", "autopeft", "recipes", "low-data", "deployable"]
MEDIA = {"image": ["swin", "vit"], "audio": ["ast", "wav2vec2", "whisper"]}
"""By what they read, the families that don't read text."""
NO_TEXT = {"vit", "whisper", "ast", "wav2vec2", "swin"}
"""They don't read text; a search refuses them."""
ALL_FAMILIES: Mapping[str, Family] = FAMILIES | MORE_FAMILIES

Row = dict[str, Any]


@dataclass(frozen=True)
class Ending:
    """How a search ended.

    Attributes:
        kind: "front", "failures" (no trial was complete, and each said why), "error" (one of ours) or "fault".
        text: The failures, the error, or the fault's traceback.
    """

    kind: str
    text: str = ""


def run_one(number: int, folder: Path) -> Ending:
    """Draw a search and run it.

    Args:
        number: What it is drawn from.
        folder: Where it may write.
    """
    try:
        request = draw(random.Random(number), folder)
        result = SearchResult(search(request, SilentSearch()).path)
        records = result.trials
        if wrong := [*not_finite_on_disk(result.path), *not_finite_on_screen(result)]:
            return Ending("fault", f"not finite: {'; '.join(wrong)}")
        failures = [record.error for record in records if record.state == "failed"]
        if not all(failures):
            return Ending("fault", "a trial failed without a reason")
        if bugs := [reason for reason in failures if _BUG.match(reason)]:
            return Ending("fault", f"a trial failed by what is no error of ours: {bugs[0]}")
        if not failures and not any(record.state == "complete" for record in records):
            return Ending("fault", f"neither a complete nor a failed trial: {[record.state for record in records]}")
        return Ending("failures", "; ".join(failures)) if failures else Ending("front")
    except AutopeftError as error:
        text = str(error)
        unclear = not text.strip() or "Traceback" in text or len(text) > LONGEST_ERROR
        return Ending("fault", f"an unclear error of {len(text)} characters: {text[:500]}") if unclear else Ending("error", text)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a panic of a library in Rust is no Exception
        return Ending("fault", traceback.format_exc())


def not_finite_on_disk(run: Path) -> Iterator[str]:
    """Yield what is not finite in the run's JSON files, or isn't JSON."""

    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} in {path.name}")

    for path in [*run.rglob("*.json"), *run.rglob("*.jsonl")]:
        try:
            for text in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
                json.loads(text, parse_constant=refuse)
        except ValueError as error:
            yield str(error)


def not_finite_on_screen(result: SearchResult) -> Iterator[str]:
    """Yield what is not finite among the results that the verbs print and write."""
    for record in result.trials:
        for name, value in (record.metrics | record.values).items() if record.state == "complete" else ():
            if not math.isfinite(value):
                yield f"{name} {value} of trial {record.number}"
    with redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()):
        show(result.path)
    reasons = [record.error for record in result.trials if record.error]
    shown = {"show": printed.getvalue()} | {path.name: path.read_text() for path in result.report(formats=["md", "json"])}
    for name, text in shown.items():
        for reason in reasons:  # it may say what was not finite
            text = text.replace(reason, "").replace(json.dumps(reason), "")
        if found := re.search(r"(?<![\w-])(nan|inf|NaN|Infinity)(?![\w-])", text):
            yield f"{found.group()} in {name}: {text[max(0, found.start() - 60) : found.end() + 20]!r}"


def draw(rng: random.Random, folder: Path) -> SearchRequest:
    """Write a model, data and perhaps a space into a folder, and return a search of them."""
    media = rng.choice(["image", "audio"]) if rng.random() < 0.1 else ""
    fitting = MEDIA.get(media, sorted(ALL_FAMILIES.keys() - NO_TEXT))
    data, column = (draw_media(rng, folder, media), "") if media else draw_data(rng, folder)
    if column in HEADS:  # most of what is drawn must be possible
        fitting = [name for name in fitting if ALL_FAMILIES[name].config_class.model_type in HEADS[column]]
    family = rng.choice(sorted(ALL_FAMILIES) if rng.random() < 0.06 else fitting)
    model = write_model(rng, family, folder / rng.choice(["model", "a model", "mödel#1"]))
    flags: dict[str, Any] = {
        "epochs": rng.choice([1, 2]),
        "batch_size": rng.choice([1, 4, 8, 64]),
        "max_length": rng.choice([2, *[8, 16, 24, 64] * 3, 600]),
        "train_examples": N_EXAMPLES,
        "evaluation_examples": rng.choice([None, N_EXAMPLES]),
        "sampler": rng.choice(["autopeft", "random", "tpe"]),
        "seed": rng.randrange(1000),
        "max_failed": rng.choice([1.0, 1.0, 0.5]),
        "cache_bytes": rng.choice(["1G", "0", "10k"]),
        "space": rng.choice([*BUILT_IN, *[str(write_space(rng, folder))] * 6]),
    }
    rare = {
        "objectives": [("loss", "trainable_parameters"), ("accuracy", "latency_seconds", "peak_bytes"), ("pearson", "adapter_bytes")],
        "max_params": ["0.5%", "50%", 100, 10**6],
        "max_adapter_bytes": ["1k", "1M"],
        "max_train_seconds": [1e-9, 1e9],
        "start": [("lora",), ("mam",), ("autopeft",)],
        "rungs": [(0.5,), (0.2, 0.6)],
    }
    rarer = {
        "quantize": ["torchao-int8", "int8", "nf4"],
        "dtype": ["float32", "bfloat16", "float16"],
        "attention": ["eager", "sdpa", "flash_attention_2"],
        "gradient_checkpointing": ["on", "off"],
        "pack": [1, 2, "3", "auto"],
        "confirm": [0, 1],
        "batch_tokens": [1, 16, 64, 1024],
        "trust_remote_code": [True],
        "kind": family_names(),
        "language": ["de", "tlh"],
    }
    flags |= {name: rng.choice(values) for name, values in rare.items() if rng.random() < 0.15}
    flags |= {name: rng.choice(values) for name, values in rarer.items() if rng.random() < 0.07}
    return SearchRequest(**data | flags, model=str(model), trials=1, workers=0, offline=True, out=str(folder / "run"))


def write_model(rng: random.Random, family: str, folder: Path) -> Path:
    """Save a tiny model of a family with a tokenizer into a folder."""
    torch.manual_seed(rng.randrange(1000))
    wanted = ALL_FAMILIES[family]
    settings = dict(wanted.settings)
    if rng.random() < 0.15 and family != "xlnet":
        settings["max_position_embeddings"] = rng.choice([4, 12, 40])
    if "num_labels" in settings:
        settings["num_labels"] = rng.choice([1, 2, 3])
    model = replace(wanted, settings=settings).build()
    if rng.random() < 0.3:
        model = getattr(model, "base_model", model)
    if rng.random() < 0.2:
        model = model.to(rng.choice([torch.float16, torch.bfloat16]))
    model.save_pretrained(folder, max_shard_size=rng.choice(["5GB", "30KB"]))
    if family in MEDIA["image"]:
        tf.ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    elif family in MEDIA["audio"]:
        tf.Wav2Vec2FeatureExtractor(return_attention_mask=rng.random() < 0.5).save_pretrained(folder)
    if family not in NO_TEXT or rng.random() < 0.5:
        write_tokenizer(rng, folder)
    damage = rng.random()
    if damage < 0.03:
        weights = next(folder.glob("*.safetensors"))
        weights.write_bytes(weights.read_bytes()[: rng.randrange(1, 2000)])
    elif damage < 0.06:
        (folder / "config.json").write_text(rng.choice(["{}", "", "[]", '{"model_type": "bert"}', '{"model_type": "unknown"}']))
    elif damage < 0.08:
        next(folder.glob("tokenizer*" if family not in NO_TEXT else "preprocessor*")).unlink()
    return folder


def write_tokenizer(rng: random.Random, folder: Path) -> None:
    """Save a tokenizer of whole words that knows some of the special tokens."""
    words = Tokenizer(models.WordLevel({token: index for index, token in enumerate([*SPECIAL, *WORDS])}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    if rng.random() < 0.7:
        pair = "<s> $A </s> $B:1 </s>:1"
        words.post_processor = processors.TemplateProcessing("<s> $A </s>", pair, [("<s>", 1), ("</s>", 2)])
    names = {
        "pad_token": "<pad>",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "cls_token": "<s>",
        "mask_token": "<mask>",
    }
    known = {name: token for name, token in names.items() if rng.random() < 0.8}
    inputs = rng.choice([["input_ids", "attention_mask"], ["input_ids", "token_type_ids", "attention_mask"]])
    tf.PreTrainedTokenizerFast(
        tokenizer_object=words,
        model_input_names=inputs,
        padding_side=rng.choice(["right", "right", "left"]),
        truncation_side=rng.choice(["right", "right", "left"]),
        model_max_length=rng.choice([10**30, 512, 8]),
        **known,
    ).save_pretrained(folder)


def draw_data(rng: random.Random, folder: Path) -> tuple[dict[str, Any], str]:
    """Write data files and return the settings that name them, and the name of their last column."""
    odd = rng.choice([0.0, 0.0, 0.1, 0.1, 0.3])
    row, data = draw_labelled(rng, odd) if rng.random() < 0.6 else (draw_shape(rng, odd), {})
    has_lists = any(isinstance(cell, list) for cell in row().values())
    suffix = rng.choice([".jsonl", ".json", ".parquet", *[".csv", ".tsv", ".CSV"] * (not has_lists or rng.random() < 0.1)])
    files = {"train": rng.choice([1, 3, 30, 60]) if rng.random() < 0.1 else 40}
    files |= {role: rng.choice([2, 20, 20]) for role in ("validation", "test") if rng.random() < 0.5}
    for role, n in files.items():
        path = folder / f"{role}{suffix}"
        write_table(rng, path, [row() for _ in range(n)])
        data[role] = str(path)
    if rng.random() < 0.03:
        data["label"] = rng.choice(["text", "Label", "", "nothing"])
    if rng.random() < 0.03:
        data["text"] = rng.choice([("label",), ("text", "text"), ("first", "second", "third"), ("",)])
    if rng.random() < 0.03:
        data["kind"] = rng.choice(family_names())
    return data, list(row())[-1]


def draw_media(rng: random.Random, folder: Path, kind: str) -> dict[str, Any]:
    """Write images or sounds, a few of them damaged, with a file that names them, and return the settings that name it."""
    suffix, n = {"image": ".png", "audio": ".wav"}[kind], 24
    damaged = rng.choice([0.0, 0.0, 0.03])
    transcribed = kind == "audio" and rng.random() < 0.5
    rows: list[Row] = []
    for index in range(n):
        content = png(index, rng.randrange(256)) if kind == "image" else wav(16_000, rng.randint(100, 900), rng.choice([0.001, 0.05, 0.1]))
        if rng.random() < damaged:
            content = rng.choice([b"", content[: rng.randrange(len(content))], b"text", content[::-1]])
        (folder / f"{index}{suffix}").write_bytes(content)
        answer = {"text": rng.choice(["a b", "c", "ab ba"])} if transcribed else {"label": rng.choice(["low", "high"])}
        rows.append({kind: f"{index}{suffix}", **answer})
    path = folder / f"train{rng.choice(['.csv', '.jsonl', '.parquet'])}"
    write_table(rng, path, rows)
    return {"train": str(path)}


def draw_labelled(rng: random.Random, odd: float) -> tuple[Callable[[], Row], dict[str, Any]]:
    """Return what draws a row with a class or a score, and the settings that say what to make of it."""
    columns = rng.choice([("text",), ("text",), ("first", "second")])
    label, is_score = draw_label(rng)
    kind = "regression" if is_score and rng.random() < 0.8 else None
    return lambda: {**{name: draw_text(rng, odd) for name in columns}, "label": label()}, {"text": columns, "label": "label", "kind": kind}


def draw_shape(rng: random.Random, odd: float) -> Callable[[], Row]:
    """Return what draws a row of another kind of task, in columns of the usual names."""

    def text() -> Any:
        return draw_text(rng, odd)

    def words() -> list[str]:
        return rng.choices(WORDS, k=rng.randint(1, 8))

    def tagged() -> Row:
        tokens = words()
        return {"tokens": tokens, "tags": [rng.choice(["O", "O", "B-X", "I-X", "B-Y"]) for _ in tokens]}

    def answered() -> Row:
        context = words()
        start = rng.randrange(len(context))
        return {"question": text(), "context": " ".join(context), "answer": " ".join(context[start : start + rng.randint(1, 3)])}

    shapes: list[Callable[[], Row]] = [
        lambda: {"text": text(), "labels": rng.sample(["a", "b", "c"], rng.randrange(4))},
        tagged,
        answered,
        lambda: {"question": text(), "choices": [text() for _ in range(3)], "answer": rng.randrange(3)},
        lambda: {"prompt": text(), "completion": rng.choice([text(), "yes", "no"])},
        lambda: {"messages": [{"role": "user", "content": text()}, {"role": "assistant", "content": text()}]},
        lambda: {"text": text()},
        lambda: {"document": text(), "summary": text()},
        lambda: {"query": text(), "positive": text()},
    ]
    return rng.choice(shapes)


def draw_label(rng: random.Random) -> tuple[Callable[[], object], bool]:
    """Return what draws labels of one kind, and whether they are scores."""
    usual = [["yes", "no"], ["a", "b", "c"], [0, 1], [0, 1, 2], [True, False], ["1.0", "2"], [f"class {i}" for i in range(30)], [-1, 1]]
    odd = [["only"], ["yes"] * 30 + ["no"], ["", "x"], ["ja", "nein", None], ["n/a", "-"], ["NaN", 1.5], [10**20, 1], ["a", "A", " a"]]
    scores: list[Callable[[], object]] = [
        lambda: rng.random(),
        lambda: rng.gauss(1e7, 1.0),
        lambda: rng.gauss(0, 1e-12),
        lambda: rng.choice([1e300, -1e300, 1e308]) * rng.random(),
        lambda: rng.choice([0.1, 0.2, 1e12]),
        lambda: 1.7e9 + rng.random() * 1e6,
        lambda: rng.randrange(10**9),
    ]
    wrong: list[Callable[[], object]] = [lambda: 0.5, lambda: rng.choice([0.5, 1.5, float("nan"), float("inf")])]
    if rng.random() < 0.4:
        return rng.choice(wrong if rng.random() < 0.1 else scores), True
    names = rng.choice(odd if rng.random() < 0.2 else usual)
    return lambda: rng.choice(names), False


def draw_text(rng: random.Random, odd: float) -> object:
    """Return a text, with some probability an odd one, and seldom none at all."""
    if rng.random() > odd:
        return " ".join(rng.choices(WORDS, k=rng.randint(1, 12)))
    if rng.random() < 0.005:
        return rng.choice([7, None, 1.5, True])
    if rng.random() < 0.02:
        return rng.choice(["", " ", "\t", "\n", "\x00"])
    texts = [
        "\u2028",
        "\ufeff",
        "日本語の映画",
        "🎬" * 5,
        "<s> </s>",
        "a" * 3000,
        "good " * 700,
        'say "x", then',
        "7",
        "nan",
    ]
    return rng.choice(texts)


def write_table(rng: random.Random, path: Path, rows: list[Row]) -> None:
    """Write rows in the format that the suffix names, perhaps with a quirk of what wrote them."""
    harmful = ["semicolons", "latin-1", "no rows", "twice", "short row", "utf-16", "cut"]
    quirk = rng.choice(harmful) if rng.random() < 0.03 else rng.choice(["", "", "bom", "crlf", "blank lines"])
    names = list(rows[0])
    rows = [] if quirk == "no rows" else rows
    kind = path.suffix.lower()
    if kind == ".parquet":
        try:
            pq.write_table(pa.table({name: [row[name] for row in rows] for name in names}), path)
        except (pa.ArrowException, OverflowError):  # a column of several types
            pq.write_table(pa.table({name: [str(row[name]) for row in rows] for name in names}), path)
        if quirk == "cut":
            path.write_bytes(path.read_bytes()[: rng.randrange(500)])
        return
    if kind in (".csv", ".tsv"):
        text = StringIO(newline="")
        separator = "\t" if kind == ".tsv" else ";" if quirk == "semicolons" else ","
        writer = csv.writer(text, delimiter=separator, lineterminator="\r\n" if quirk == "crlf" else "\n")
        writer.writerow([*names, names[0]] if quirk == "twice" else names)
        for row in rows:
            cells = ["" if row[name] is None else row[name] for name in names]
            writer.writerow(cells[:-1] if quirk == "short row" and rng.random() < 0.1 else cells)
        content = text.getvalue()
    else:
        lines = [json.dumps(row, ensure_ascii=rng.random() < 0.5) for row in rows]
        content = f"[{','.join(lines)}]" if kind == ".json" and rng.random() < 0.8 else "\n".join(lines)
    if quirk == "blank lines":
        content = content.replace("\n", "\n\n", 3) + "\n\n"
    if quirk == "cut":
        content = content[: rng.randrange(len(content) + 1)]
    encoding = {"bom": "utf-8-sig", "latin-1": "latin-1", "utf-16": "utf-16"}.get(quirk, "utf-8")
    path.write_bytes(content.encode(encoding, errors="replace"))


def write_space(rng: random.Random, folder: Path) -> Path:
    """Write a space of one to three methods, which may be wrong."""
    methods = all_methods()
    lines = []
    if rng.random() < 0.7:
        rule = rng.choice(["mask", "span", "top", "every", "all"])
        lines.append(f"layers: {rng.choice(['shared', 'per_module', 'all', f'{{shared: {rule}}}', f'{{per_module: {rule}}}'])}")
    lines.append("modules:")
    for method in rng.sample(methods, rng.choice([1, 1, 2, 3])):
        sizes = rng.choice([list(method.sizes)[:3], [0, *method.sizes[:2]], [1], [3, 7], [0, 1000], [10**5]] + [list(method.sizes)] * 4)
        lines.append(f"  - method: {method.name}")
        lines.append(f"    size: {rng.choice(['suggested', sizes, sizes])}")
        if rng.random() < 0.2:
            lines.append(
                f"    targets: {rng.choice(['[query, value]', '[ffn_in]', '[query, key, value, attention_output, ffn_in, ffn_out]'])}"
            )
        if method.options and rng.random() < 0.3:
            option = rng.choice(method.options)
            lines.append(f"    options: {{{option.name}: {json.dumps(rng.choice([*option.choices, 1, 0.5, True]))}}}")
    rate = rng.choice(["0.001"] * 3 + ["{low: 1.0e-4, high: 1.0e-2, log: true}"] * 3 + ["1.0e+30", "1.0e-300", "0", "100.0", "5"])
    lines += ["training:", f"  learning_rate: {rate}"]
    for name in rng.sample(sorted(TRAINING_PARAMETERS.keys() - {"learning_rate"}), rng.choice([0, 0, 1, 2, 3])):
        values = [*TRAINING_PARAMETERS[name].values] or [0.0, 0.1]
        odd = rng.choice(["-1", "1.0e+9", "word", "{low: 0.1, high: 0.9}", "[]", "null"])
        lines.append(
            f"  {name}: {odd if rng.random() < 0.06 else rng.choice(['suggested', json.dumps(values[:3]), json.dumps(values[-1])])}"
        )
    path = folder / "space.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def run_many(first: int, n: int, seconds: float = math.inf) -> dict[int, Ending]:
    """Run searches one after another and return how each ended, by its number.

    Args:
        first: The first one's number.
        n: How many.
        seconds: After which no new one starts.
    """
    endings: dict[int, Ending] = {}
    until = time.monotonic() + seconds
    for number in range(first, first + n):
        if time.monotonic() > until:
            break
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")  # libraries warn of much that is odd here
            endings[number] = run_one(number, Path(folder))
    return endings


def main() -> None:
    tf.logging.set_verbosity(tf.logging.CRITICAL)
    tf.logging.disable_progress_bar()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--verbose", action="store_true", help="print how each one ended")
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    counts: Counter[str] = Counter()
    until = time.monotonic() + given.seconds
    for number in range(given.first, given.first + given.searches):
        if time.monotonic() > until:
            break
        (ending,) = run_many(number, 1).values()
        counts[ending.kind] += 1
        if given.verbose or ending.kind == "fault":
            print(f"{number}: {ending.kind} {ending.text}", flush=True)
    print(", ".join(f"{count} {kind}" for kind, count in counts.most_common()))


if __name__ == "__main__":
    main()
