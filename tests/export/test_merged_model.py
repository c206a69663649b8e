import pytest
import torch
from transformers import AutoModelForSequenceClassification

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnsupportedError, VerificationError
from autopeft.export.merged_model import plan
from autopeft.methods.applied import AppliedModules
from tests.export.helpers import BATCH, trained

MERGING = Configuration((PeftModule("lora", 4, (1, 10), ("query", "value")), PeftModule("bitfit", 1, (0, 3))), {"learning_rate": 0.05})


def predictions(trial, folder):
    """Return what our model with our adapter says, and what transformers' own loader makes of the export."""
    theirs = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        return trained(trial)(**BATCH).logits, theirs.eval()(**BATCH).logits, theirs.config


def test_transformers_loads_a_plain_model_that_predicts_the_same(train_trial, tmp_path):
    trial, _ = train_trial(MERGING)
    plan(trial).write(tmp_path)
    ours, theirs, config = predictions(trial, tmp_path)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert config.id2label == {0: "no", 1: "yes"}


def test_what_does_not_merge_is_named(untrained):
    with pytest.raises(UnsupportedError, match=r"these don't: prefix 3 in 1; serial_adapter 4 in 0 1\."):
        plan(untrained(PeftModule("serial_adapter", 4, (0, 1)), PeftModule("prefix", 3, (1,)), PeftModule("lora", 2, (0,))))


def test_a_merge_that_changes_predictions_is_not_written(train_trial, tmp_path, monkeypatch):
    trial, _ = train_trial(MERGING)

    def merge(applied):
        applied.model.classifier.weight.data.zero_()

    monkeypatch.setattr(AppliedModules, "merge", merge)
    with pytest.raises(VerificationError, match="must predict what the adapter did"):
        plan(trial).write(tmp_path)
    assert not list(tmp_path.iterdir())
