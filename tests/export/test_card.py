import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard

from autopeft.configuration import Configuration, PeftModule
from autopeft.export import merged_model, peft_adapter
from autopeft.export.formatting import data_lines
from autopeft.methods.checkpoint import load
from autopeft.tasks import family_of
from autopeft.training.model import load_model
from tests.programs import run_fresh

LORA = Configuration((PeftModule("lora", 4, (1, 10), ("query", "value")),), {"learning_rate": 0.05})
TARGETS = {"peft": peft_adapter, "merged": merged_model}


@pytest.fixture(scope="module")
def exports(train_trial, tmp_path_factory):
    """One trial, and the folder of each export of it."""
    trial, _ = train_trial(LORA)
    folders = {form: tmp_path_factory.mktemp(form) for form in TARGETS}
    for form, folder in folders.items():
        TARGETS[form].plan(trial).write(folder)
    return trial, folders


@pytest.fixture(params=TARGETS)
def export(request, exports):
    trial, folders = exports
    return request.param, trial, folders[request.param]


RUN_SNIPPETS = """
import contextlib, io, json, sys
found = {}
for folder in sys.argv[1:]:
    snippet = open(f"{folder}/README.md").read().split("```python\\n")[1].split("```")[0]
    names = {"__name__": "__main__"}
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(snippet, names)
    found[folder] = [printed.getvalue(), names["tokenizer"]("The text.").input_ids, names["logits"].tolist()]
print(json.dumps([found, "autopeft" in sys.modules]))
"""


@pytest.fixture(scope="module")
def answers(exports):
    """What each card's snippet printed and computed, one after the other in a fresh interpreter that lacks autopeft."""
    answer = run_fresh("-c", RUN_SNIPPETS, *exports[1].values(), HF_HUB_OFFLINE="1")
    assert answer.code == 0, answer.err
    found, has_ours = json.loads(answer.out)
    assert not has_ours
    return found


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
    assert trial.budget.describe(n_validation=12) in text
    assert LORA.to_json() in text
    assert f"on the backbone `{Path(trial.backbone.path).name}`" in text


def test_the_snippet_runs_as_pasted_in_a_fresh_process(export, answers):
    _, trial, folder = export
    printed, ids, logits = answers[str(folder)]
    ours = load_model(trial.backbone, family_of(trial.task)).model
    batch = {"input_ids": torch.tensor([ids])}
    load(ours, trial.adapter, batch)
    with torch.no_grad():
        wanted = ours.eval()(**batch).logits
    assert logits[0] == pytest.approx(wanted[0].tolist(), abs=1e-5)
    assert printed.strip() == trial.task.labels[wanted.argmax()]


def test_a_card_says_nothing_of_the_folders_on_the_machine_that_trained(exports):
    trial, _ = exports
    notes = ("train: 3 examples of /home/me/clients/train.csv", "/home/me/clients/train.csv: its columns are separated by tabs")
    own = replace(trial, data={"train": "/home/me/clients/train.csv", "test": None}, data_notes=notes)
    assert data_lines(own) == "- train: 3 examples of train.csv\n- train.csv: its columns are separated by tabs"
