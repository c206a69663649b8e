from dataclasses import replace
from pathlib import Path

import pytest

from autopeft.api import SilentSearch
from autopeft.errors import AutopeftError, InvalidInputError
from autopeft.loops import planning
from autopeft.loops import search as engine
from autopeft.loops.baselines import BASELINES, tune
from autopeft.loops.retrain import RetrainRequest, retrain
from autopeft.methods import registry
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.record import TrialRecord
from autopeft.study.study import Study
from tests.loops.retraining import Ear


def silent(name: str) -> SilentSearch:
    return SilentSearch()


def never(name: str) -> SilentSearch:
    class Never(SilentSearch):
        def started(self, plan: planning.SearchPlan, run: RunDirectory, n_done: int) -> None:
            raise AssertionError(f"{name} was tuned already")

    return Never()


def test_every_baseline_is_tuned_with_an_equal_part_and_none_of_the_bounds(small_request: SearchRequest, tmp_path: Path) -> None:
    request = replace(small_request, trials=13, max_params=400, out=str(tmp_path / "run"))
    run = engine.search(replace(request, trials=1), SilentSearch())
    settings = run.settings()
    settings["settings"]["trials"]["value"] = 13
    run.write_settings({name: value for name, value in settings.items() if name != "format_version"})
    tuned = tune(run, silent)
    assert [candidate.name for candidate in tuned.candidates] == list(BASELINES.values())
    assert tuned.left_out == ()
    for name, candidate in zip(BASELINES, tuned.candidates, strict=True):
        found = RunDirectory.open(run.baselines_path / name)
        records = Study.open(found).records()
        assert len(records) == 13 // 6
        assert len({record.configuration.training["learning_rate"] for record in records}) == 2
        assert candidate.configuration == max(records, key=_quality_then_size).configuration
        assert found.settings()["budget"] == settings["budget"]
        assert not found.adapter_path(candidate.trial).exists()
    by_name = {candidate.name: candidate.configuration for candidate in tuned.candidates}
    assert by_name["head only"].modules == ()
    assert by_name["LoRA"].modules[0].layers == (0, 1, 2)
    assert by_name["full fine-tuning"].modules[0].method == "full_fine_tuning"

    assert tune(run, never) == tuned
    with pytest.raises(InvalidInputError, match="tuned with as many trials: lora has 2"):
        tune(run, never, trials=1)

    folder = retrain(run, tuned.candidates, RetrainRequest(seeds=1, epochs=1), Ear())
    sizes = {one.candidate.name: one.results[0].trainable_parameters for one in folder.read()}
    assert sizes["head only"] == 0
    assert sizes["full fine-tuning"] == max(sizes.values()) > 10_000


def test_those_that_are_named_are_tuned_with_the_part_that_each_of_all_would_get(small_run: RunDirectory) -> None:
    tuned = tune(small_run, silent, methods=["head_only", "lora"])
    assert [candidate.name for candidate in tuned.candidates] == ["LoRA", "head only"]
    assert {path.name for path in small_run.baselines_path.iterdir()} == {"lora", "head_only"}
    records = Study.open(RunDirectory.open(small_run.baselines_path / "lora")).records()
    assert len(records) == max(1, SearchRequest.from_settings(small_run.asked()).trials // 6)


@pytest.mark.parametrize(("methods", "rule"), [(["lora", "full"], "unknown baseline.*full_fine_tuning"), ([], "at least one baseline")])
def test_names_of_methods_are_checked_before_anything_is_trained(small_run: RunDirectory, methods: list[str], rule: str) -> None:
    with pytest.raises(InvalidInputError, match=rule):
        tune(small_run, never, methods=methods)
    assert not small_run.baselines_path.exists()


def test_a_method_that_the_backbone_cannot_take_is_left_out_with_the_reason(
    small_run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = replace(registry.get_method("prefix"), unsupported=lambda topology: "its attention is odd")
    monkeypatch.setitem(registry._METHODS, "prefix", method)
    tuned = tune(small_run, silent, trials=1)
    assert [candidate.name for candidate in tuned.candidates] == [title for title in BASELINES.values() if title != "prefix"]
    (reason,) = tuned.left_out
    assert reason.startswith("prefix is left out: BertForSequenceClassification can take no method")
    assert reason.endswith("its attention is odd.")


def test_a_baseline_whose_trials_all_failed_is_named_with_the_reason(small_run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise IndexError("no such layer")

    monkeypatch.setitem(registry._METHODS, "lora", replace(registry.get_method("lora"), inject=fail))
    settings = small_run.settings()
    settings["settings"]["max_failed"] = {"value": 1.0, "source": "flag"}
    small_run.write_settings({name: value for name, value in settings.items() if name != "format_version"})
    for ear in (silent, never):  # the second time they have failed already
        with pytest.raises(AutopeftError, match="every trial of the baseline LoRA failed: IndexError: no such layer") as raised:
            tune(small_run, ear, methods=["lora"], trials=1)
        assert str(small_run.baselines_path / "lora" / "trials") in raised.value.remedy


def _quality_then_size(record: TrialRecord) -> tuple[float, int]:
    return record.metrics["accuracy"], -(record.trainable_parameters or 0)
