"""Texts that hold what a tokenizer takes for its special tokens: they are read, and move no tag, no answer and no mask."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from autopeft.tasks import Encoded, Family, family_of, load_files
from tests.conftest import WORDS
from tests.tasks.helpers import write

N = 10
SPECIAL = ["[SEP]", "[CLS]", "[PAD]", "[UNK]"]
TEMPLATE = """\
{%- for turn in messages %}[CLS] {{ turn.role }} {{ turn.content }} [SEP] {% endfor -%}
{%- if add_generation_prompt %}[CLS] assistant {% endif -%}
"""


def encoded(path: Path, columns: dict[str, list[Any]], folder: Path, **arguments: Any) -> tuple[Family, Encoded]:
    file = write(path / "own.jsonl", columns)
    data = load_files(file, file, file)
    family = family_of(data.task)
    tokenizer = AutoTokenizer.from_pretrained(folder, eos_token="[SEP]", **arguments)
    return family, family.encode(tokenizer, data.train, 64, training=True)


@pytest.mark.parametrize("special", SPECIAL)
def test_words_keep_their_tags(special: str, tmp_path: Path, backbone_folder: Path) -> None:
    words, tags = ["the", special, "cat", special], ["O", "B-x", "I-x", "B-y"]
    family, found = encoded(tmp_path, {"tokens": [words] * N, "tags": [tags] * N}, backbone_folder)
    row = found.rows[0]
    marked = [mark for mark in row["tags"] if mark != -100]
    assert [family.task.labels[mark] for mark in marked] == tags
    assert found.references[0][1] == [0, 1, 2, 3]
    assert row["tags"][0] == row["tags"][-1] == -100


@pytest.mark.parametrize("special", SPECIAL)
def test_an_answer_is_found_behind_one(special: str, tmp_path: Path, backbone_folder: Path) -> None:
    context = f"the {special} old cat {special} sees"
    columns = {"question": [f"the {special} cat"] * N, "context": [context] * N, "answer": ["cat"] * (N - 1) + [f"old cat {special}"]}
    _, found = encoded(tmp_path, columns, backbone_folder)
    for reference, row in zip(found.references, found.rows, strict=True):
        ((_, offsets),) = reference["windows"]
        assert context[offsets[row["start"]][0] : offsets[row["end"]][1]] == reference["answers"][0]
        assert row["is_text"][row["start"]]


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("template", [TEMPLATE, None], ids=["chat", "text"])
def test_the_completion_alone_is_learnt(special: str, template: str | None, tmp_path: Path, backbone_folder: Path) -> None:
    columns = {
        "prompt": [f"the {special} {WORDS[index]} {special}" for index in range(N)],
        "completion": [f" red {special} {WORDS[index]}" for index in range(N)],
    }
    _, found = encoded(tmp_path, columns, backbone_folder, chat_template=template)
    tokenizer = found.processor
    for reference, row in zip(found.references, found.rows, strict=True):
        answer = tokenizer(reference["text"], add_special_tokens=False)["input_ids"]
        learnt = [token for token, mark in zip(row["input_ids"], row["learnt"], strict=True) if mark]
        assert learnt == [*answer, tokenizer.eos_token_id]
        assert row["learnt"].count(2) == len(answer)


@pytest.mark.parametrize("column", ["source", "target"])
def test_all_tokens_of_a_target_count(column: str, tmp_path: Path, backbone_folder: Path) -> None:
    columns = {"source": ["the cat"] * N, "target": [f"red {WORDS[index]}" for index in range(N)]}
    columns[column] = [f"{text} [PAD] [SEP] old" for text in columns[column]]
    family, found = encoded(tmp_path, columns, backbone_folder)
    batch = found.batch(range(len(found)))
    assert (batch.targets != -100).sum(dim=1).tolist() == found.weights.tolist() == [len(row["labels"]) for row in found.rows]
    assert batch.inputs["attention_mask"].sum(dim=1).tolist() == [len(row["input_ids"]) for row in found.rows]
    logits = torch.zeros(*batch.targets.shape, len(found.processor))
    losses = family.loss(type("Outputs", (), {"logits": logits}), batch)
    assert losses.item() == pytest.approx(found.weights.sum() * np.log(logits.shape[-1]), rel=1e-5)
