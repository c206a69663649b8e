"""Every kind of task, searched, exported and loaded again by the libraries that the exports are for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from peft import PeftModel

from autopeft.api import SilentSearch
from autopeft.errors import UnsupportedError
from autopeft.export.description import read_description
from autopeft.export.finished_trial import read_trial
from autopeft.export.predictor import load_predictor, predictor_of
from autopeft.export.trained import load_trained
from autopeft.export.writing import export_trial
from autopeft.loops.search import search
from autopeft.methods.outputs import first_tensor
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.tasks import family_names, family_of
from autopeft.tasks.standardisation import Standardisation
from tests.tasks.small import NAMED, write_task


@pytest.fixture(scope="module", params=family_names())
def run(request: pytest.FixtureRequest, backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    folder = tmp_path_factory.mktemp(request.param)
    file, model = write_task(request.param, folder, backbone_folder)
    return search(
        SearchRequest(
            kind=NAMED.get(request.param),
            train=str(file),
            validation=str(file),
            test=str(file),
            model=str(model),
            space="lora",
            out=str(folder / "run"),
            trials=1,
            workers=0,
            sampler="random",
            epochs=1,
            batch_size=8,
            max_length=24,
        ),
        SilentSearch(),
    )


@torch.no_grad()
def output(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    return first_tensor(model.eval()(**batch).to_tuple())


def is_near(one: Any, other: Any) -> bool:
    """Return whether two answers are the same, but for the rounding of numbers."""
    if isinstance(one, list):
        return len(one) == len(other) and all(map(is_near, one, other))
    return bool(one == (pytest.approx(other, abs=1e-4) if isinstance(one, float) else other))


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft 0.21 asks transformers 5.23 for it
@pytest.mark.parametrize("target", ["peft", "merged"])
def test_an_export_predicts_what_the_trial_did_and_its_card_runs(
    run: RunDirectory, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export_trial(run, 0, target, tmp_path / "export", lossy=target == "peft")
    trial = read_trial(run, 0)
    family, trained = family_of(trial.task), load_trained(trial)
    wanted = output(trained.model, trained.example_batch)
    auto = getattr(hf, family.auto_model)
    if target == "merged":
        loaded = auto.from_pretrained(folder, dtype=torch.float32)
    else:
        loaded = PeftModel.from_pretrained(auto.from_pretrained(trial.backbone.path, **family.model_arguments, dtype=torch.float32), folder)
    found, task = output(loaded, trained.example_batch), read_description(folder).task
    # Numbers may be in another unit, which the export then says.
    each = [Standardisation.of(one.settings).undo(output.double().numpy()) for one, output in ((task, found), (trial.task, wanted))]
    np.testing.assert_allclose(*each, rtol=1e-4, atol=1e-5)
    snippet = (folder / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(folder)
    if trial.task.kind == "image_classification":
        family.decode(family.example.inputs[0][0]).save("image.png")  # type: ignore[attr-defined]
    exec(compile(snippet, "README.md", "exec"), {})
    answers = [predictor.predict_file(run.asked()["train"]["value"])[1] for predictor in (load_predictor(folder), predictor_of(trial))]
    assert all(is_near(one["prediction"], other["prediction"]) for one, other in zip(*answers, strict=True))


def test_a_script_carries_the_data_of_its_kind(run: RunDirectory, tmp_path: Path) -> None:
    folder = export_trial(run, 0, "script", tmp_path / "script")
    assert (folder / "train.py").is_file()
    task = read_trial(run, 0).load_data().task
    assert replace(read_trial(run, 0).task, settings=task.settings) == task  # what is tuned is the trial's own


def test_a_language_model_s_trainer_gets_its_prompts_or_says_why_not(run: RunDirectory, tmp_path: Path) -> None:
    kind = read_trial(run, 0).task.kind
    if kind == "causal_lm":
        folder = export_trial(run, 0, "trl", tmp_path / "trl", lossy=True)
        assert '"completion": " sees' in (folder / "data" / "train.jsonl").read_text()
        return
    with pytest.raises(UnsupportedError):
        export_trial(run, 0, "trl", tmp_path / "trl", lossy=True)
