"""Merging what was trained over quantised weights."""

import json
import shutil

import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, BitsAndBytesConfig

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import InvalidInputError, UnknownNameError, UnsupportedError
from autopeft.export.merged_model import plan
from autopeft.methods.adapter_files import DESCRIPTION
from tests.export.helpers import BATCH, trained

pytest.importorskip("bitsandbytes")

LORA = Configuration((PeftModule("lora", 4, (0, 2), ("query", "value")), PeftModule("ia3", 1, (1,))), {"learning_rate": 0.05})


def theirs(folder):
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    assert not hasattr(model.config, "quantization_config")
    with torch.no_grad():
        return model(**BATCH).logits


@pytest.mark.parametrize("family", ["bert", "gpt2"])  # GPT-2 keeps its weights transposed, and bitsandbytes doesn't
@pytest.mark.parametrize("scheme", ["nf4", "int8", "torchao-int8"])
def test_a_merged_model_computes_what_was_trained(train_trial, tmp_path, family, scheme):
    if scheme == "torchao-int8":
        pytest.importorskip("torchao")
    if (scheme, family) == ("torchao-int8", "gpt2"):
        with pytest.raises(UnsupportedError, match="no weights that can be quantised so"):
            train_trial(LORA, family, quantize=scheme)
        return
    trial, _ = train_trial(LORA, family, quantize=scheme)
    assert json.loads((trial.adapter / DESCRIPTION).read_text())["backbone"]["quantization"]
    plan(trial).write(tmp_path)
    with torch.no_grad():
        ours = trained(trial)(**BATCH).logits
    tolerance = 0.02 if scheme == "int8" else 1e-5
    torch.testing.assert_close(theirs(tmp_path), ours, rtol=0, atol=tolerance)
    card = (tmp_path / "README.md").read_text()
    assert "and merged into the dequantised ones" in card
    assert ("| in this folder |" in card) == (scheme == "int8")


def test_a_merge_onto_the_original_is_measured(train_trial, tmp_path):
    trial, measured = train_trial(LORA, quantize="nf4")
    plan(trial, "original").write(tmp_path)
    row = next(line for line in (tmp_path / "README.md").read_text().splitlines() if line.startswith("| as trained |"))
    assert [float(cell) for cell in row.split("|")[2:-1]] == pytest.approx(list(measured.metrics.values()), abs=1e-4)
    with torch.no_grad():
        ours = trained(trial)(**BATCH).logits
    difference = (theirs(tmp_path) - ours).abs().max()
    assert 1e-6 < difference < 0.1


def test_what_cannot_be_meant_is_refused(train_trial, untrained, tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'original'"):
        plan(untrained(*LORA.modules), "orginal")
    plain, _ = train_trial(LORA)
    with pytest.raises(InvalidInputError, match="--onto says which weights of a quantised backbone are meant"):
        plan(plain, "dequantised").write(tmp_path)


def test_of_a_checkpoint_that_is_quantised_itself_the_dequantised_weights_are_all_there_is(train_trial, model_folder, tmp_path):
    saved, out = tmp_path / "saved", tmp_path / "out"
    shutil.copytree(model_folder("bert"), saved)
    settings = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    AutoModel.from_pretrained(model_folder("bert"), quantization_config=settings, device_map="cpu").save_pretrained(saved)
    trial, _ = train_trial(LORA, folder=saved)
    with pytest.raises(UnsupportedError, match=r"is quantised itself.*Leave out --onto original"):
        plan(trial, "original").write(tmp_path)
    out.mkdir()
    plan(trial).write(out)
    with torch.no_grad():
        torch.testing.assert_close(theirs(out), trained(trial)(**BATCH).logits, rtol=0, atol=1e-5)
