"""Every kind of task gives the same numbers whether trials run alone, two at once in a worker, or over kept hidden states."""

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.tasks import family_names, load_files
from autopeft.training import runner
from autopeft.training.backbone import find_backbone
from autopeft.training.measurement import Assignment, Measurement, Outcome, RunnerSettings
from autopeft.training.runner import TrialRunner
from tests.tasks.small import NAMED, write_task

BUDGET = Budget(epochs=1, batch_size=8, max_length=24)
MIXES = ((PeftModule("lora", 4, (1,)),), (PeftModule("parallel_adapter", 4, (1,)), PeftModule("norm_tuning", 1, (1,))))
"""Above the first layer, so that there are hidden states to keep."""
ASSIGNMENTS = [Assignment(trial, Configuration(mix, {"learning_rate": 1e-2}), BUDGET, trial, (0.4, 1.0)) for trial, mix in enumerate(MIXES)]


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(runner, "has_bfloat16", lambda device: False)
    return


@pytest.mark.parametrize("kind", family_names())
def test_company_changes_nothing(kind: str, backbone_folder: Path, tmp_path: Path) -> None:
    file, model = write_task(kind, tmp_path, backbone_folder)
    data = load_files(file, file, file, kind=NAMED.get(kind))
    settings = RunnerSettings(find_backbone(str(model)), data.task, data.train, data.validation, threads=1)
    alone = TrialRunner(replace(settings, cache_bytes=0))
    wanted = [alone.run(one) for one in ASSIGNMENTS]
    together = TrialRunner(pickle.loads(pickle.dumps(replace(settings, pack=2, cache_bytes=0))))  # as workers get them
    with ThreadPoolExecutor(2) as threads:
        found: list[Outcome] = list(threads.map(together.run, pickle.loads(pickle.dumps(ASSIGNMENTS))))
    for one, other in zip(found, wanted, strict=True):
        assert measured(one).curve == measured(other).curve
        assert one.adapter == other.adapter
    keeping = TrialRunner(settings)
    for one, other in zip(map(keeping.run, ASSIGNMENTS), wanted, strict=True):
        for point, same in zip(measured(one).curve, measured(other).curve, strict=True):
            assert point.train_loss == pytest.approx(same.train_loss, rel=1e-5)
            assert dict(point.metrics) == pytest.approx(dict(same.metrics), rel=1e-4)


def measured(outcome: Outcome) -> Measurement:
    assert outcome.measurement is not None, outcome.traceback
    return outcome.measurement
