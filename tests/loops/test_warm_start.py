from dataclasses import replace
from pathlib import Path

import pytest

from autopeft.api import SilentSearch
from autopeft.errors import InvalidInputError
from autopeft.loops import planning
from autopeft.loops import search as engine
from autopeft.loops.transfer import map_layers
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import front


def write_space(path: Path, modules: str, high: str = "1.0e-2") -> str:
    path.write_text(f"modules:\n{modules}training:\n  learning_rate: {{low: 1.0e-4, high: {high}, log: true}}\n")
    return str(path)


def test_a_search_begins_with_the_front_of_an_earlier_one(small_request: SearchRequest, small_run: RunDirectory, tmp_path: Path) -> None:
    study = StudyReader.open(small_run)
    earlier = [record.configuration for record in front(study.records(), study.objectives)]
    warm = (str(small_run.path), str(small_run.path))  # what two runs share is tried once
    request = replace(small_request, warm_start=warm, seed=1, trials=len(earlier) + 1, out=str(tmp_path / "new"))
    found = StudyReader.open(engine.search(request, SilentSearch())).records()
    assert [record.configuration for record in found[:-1]] == earlier
    assert found[-1].configuration not in earlier


def test_a_resumed_search_does_not_need_the_earlier_run_any_more(
    small_request: SearchRequest, small_run: RunDirectory, tmp_path: Path
) -> None:
    run = engine.search(replace(small_request, warm_start=(str(small_run.path),), trials=1, out=str(tmp_path / "new")), SilentSearch())
    small_run.path.rename(tmp_path / "elsewhere")
    assert len(StudyReader.open(engine.resume(run.path, SilentSearch(), {"trials": 2})).records()) == 2
    assert run.settings()["settings"]["warm_start"]["value"] == [str(small_run.path)]


def test_points_are_the_nearest_that_the_space_has(small_request: SearchRequest, small_run: RunDirectory, tmp_path: Path) -> None:
    space = write_space(
        tmp_path / "narrow.yaml", "  - {method: parallel_adapter, size: [0, 3]}\n  - {method: bitfit, size: [0, 1]}\n", "2.0e-4"
    )
    plan = planning.plan(replace(small_request, space=space, warm_start=(str(small_run.path),)))
    study = StudyReader.open(small_run)
    earlier = {record.number: record.configuration for record in front(study.records(), study.objectives)}
    assert plan.start
    for name, point in plan.start.items():
        before = earlier[int(name.split("trial ")[1].split(",")[0])]
        after = plan.space.configuration(point)
        (module,) = after.modules
        assert (module.method, module.size) == ("parallel_adapter", 3)
        (same,) = (module for module in before.modules if module.method == "parallel_adapter")
        assert module.layers == map_layers(same.layers or (), 3, 3)
        assert after.training["learning_rate"] == min(before.training["learning_rate"], 2e-4)


def test_a_run_that_says_nothing_about_the_space_is_an_error(small_request: SearchRequest, small_run: RunDirectory, tmp_path: Path) -> None:
    space = write_space(tmp_path / "other.yaml", "  - {method: bitfit, size: [0, 1]}\n")
    with pytest.raises(InvalidInputError, match=r"nothing on the front of .* can be tried in the space"):
        planning.plan(replace(small_request, space=space, warm_start=(str(small_run.path),)))
    with pytest.raises(InvalidInputError, match="a run is a folder"):
        engine.search(replace(small_request, warm_start=(str(tmp_path),), out=str(tmp_path / "new")), SilentSearch())
