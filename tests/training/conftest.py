"""A runner on the tiny backbone."""

from pathlib import Path

import pytest

from autopeft.tasks import TaskData, load_files
from autopeft.training.backbone import find_backbone
from autopeft.training.measurement import RunnerSettings
from autopeft.training.runner import TrialRunner


@pytest.fixture(scope="session")
def data(pairs: tuple[Path, Path]) -> TaskData:
    return load_files(train=str(pairs[0]), validation=str(pairs[1]), text=("a", "b"), label="label")


@pytest.fixture(scope="session")
def runner(backbone_folder: Path, data: TaskData) -> TrialRunner:
    return TrialRunner(RunnerSettings(find_backbone(str(backbone_folder)), data.task, data.train, data.validation, threads=1))
