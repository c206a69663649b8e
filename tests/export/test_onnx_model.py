"""What ONNX Runtime makes of the graph; its packages are an extra: pytest -m targets tests/export/test_onnx_model.py"""

import sys

import numpy as np
import pytest
import torch

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnavailableError, UnsupportedError, VerificationError
from autopeft.export.onnx_model import plan
from autopeft.tasks.families import causal_lm
from tests.export.helpers import BATCH, trained
from tests.programs import run_fresh

MERGING = Configuration((PeftModule("lora", 4, (0, 2), ("query", "value")), PeftModule("bitfit", 1, (0, 1))), {"learning_rate": 0.05})
RUN_SNIPPET = 'exec(open("README.md").read().split("```python\\n")[1].split("```")[0])'


def test_what_the_extra_brings_is_named_where_it_lacks(untrained, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UnavailableError, match=r"pip install 'autopeft\[onnx\]'"):
        plan(untrained(PeftModule("lora", 2, (0,))))


def test_what_does_not_merge_is_refused(untrained):
    with pytest.raises(UnsupportedError, match="these don't: prefix"):
        plan(untrained(PeftModule("prefix", 2, (0,))))


def test_models_that_write_text_are_refused(untrained, monkeypatch):
    monkeypatch.setattr("autopeft.export.onnx_model.family_of", lambda task: causal_lm.CausalLM)
    with pytest.raises(UnsupportedError, match="can't write text"):
        plan(untrained(PeftModule("lora", 2, (0,))))


@pytest.mark.targets
def test_onnx_runtime_predicts_the_same_for_any_number_and_length_of_texts(train_trial, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    trial, _ = train_trial(MERGING, family="roberta")
    plan(trial).write(tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    longer = {name: torch.cat([tensor, tensor[:, :2]], dim=1).repeat(2, 1)[:3] for name, tensor in BATCH.items()}
    for batch in (BATCH, longer):
        (logits,) = session.run(["logits"], {one.name: batch[one.name].numpy() for one in session.get_inputs()})
        with torch.no_grad():
            assert np.allclose(logits, trained(trial)(**batch).logits.numpy(), atol=1e-5)
    answer = run_fresh("-c", RUN_SNIPPET, folder=tmp_path, HF_HUB_OFFLINE="1")
    assert answer.out.strip() in trial.task.labels, answer.err


@pytest.mark.targets
def test_a_graph_that_predicts_something_else_is_refused(train_trial, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("autopeft.export.onnx_model._TOLERANCE", 0.0)
    trial, _ = train_trial(MERGING, family="roberta")
    with pytest.raises(VerificationError, match="must predict what the model does"):
        plan(trial).write(tmp_path)
