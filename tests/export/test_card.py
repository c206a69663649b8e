import json
import os
import subprocess
import sys

import pytest
import torch
from huggingface_hub import ModelCard

from autopeft.configuration import Configuration, PeftModule
from autopeft.export import merged_model, peft_adapter
from autopeft.methods.checkpoint import load
from autopeft.tasks import family_of
from autopeft.training.model import load_model

LORA = Configuration((PeftModule("lora", 4, (1, 10), ("query", "value")),), {"learning_rate": 0.05})
TARGETS = {"peft": peft_adapter, "merged": merged_model}


@pytest.fixture(scope="module", params=TARGETS)
def export(request, train_trial, tmp_path_factory):
    trial, _ = train_trial(LORA)
    folder = tmp_path_factory.mktemp(request.param)
    TARGETS[request.param].plan(trial).write(folder)
    return request.param, trial, folder


def test_the_hub_reads_the_metadata(export):
    form, trial, folder = export
    data = ModelCard.load(folder / "README.md").data
    assert data.library_name == {"peft": "peft", "merged": "transformers"}[form]
    assert data.tags == ["autopeft", "lora"]
    assert data.base_model is None  # a folder of the user's is no hub id
    assert {result.metric_name: result.metric_value for result in data.eval_results} == dict(trial.record.metrics)
    assert {(result.dataset_name, result.dataset_split) for result in data.eval_results} == {("films", "validation")}


def test_the_card_says_what_was_measured_on_what(export):
    _, trial, folder = export
    text = (folder / "README.md").read_text()
    assert f"| accuracy | {trial.record.metrics['accuracy']!r} |" in text
    assert "Measured on all 12 examples of the validation data" in text
    assert trial.budget.describe() in text
    assert LORA.to_json() in text
    assert trial.backbone.path in text


@pytest.mark.slow
def test_the_snippet_runs_as_pasted_in_a_fresh_process(export):
    _, trial, folder = export
    snippet = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    command = [sys.executable, "-c", f"{snippet}\nimport json; print(json.dumps([tokenizer('The text.').input_ids, logits.tolist()]))"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr
    answer, line = done.stdout.splitlines()
    ids, logits = json.loads(line)
    ours = load_model(trial.backbone, family_of(trial.task)).model
    batch = {"input_ids": torch.tensor([ids])}
    load(ours, trial.adapter, batch)
    with torch.no_grad():
        wanted = ours.eval()(**batch).logits
    assert logits[0] == pytest.approx(wanted[0].tolist(), abs=1e-5)
    assert answer == trial.task.labels[wanted.argmax()]
