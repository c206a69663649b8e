from dataclasses import replace
from pathlib import Path

import pytest

from autopeft.api import SilentSearch
from autopeft.errors import AutopeftError, InvalidInputError, UnsupportedError
from autopeft.loops import planning
from autopeft.loops import search as engine
from autopeft.loops.baselines import BASELINES, tune
from autopeft.loops.retrain import RetrainRequest, retrain
from autopeft.methods import registry
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord
from tests.loops.retraining import Ear


def silent(name: str) -> SilentSearch:
    return SilentSearch()


def never(name: str) -> SilentSearch:
    class Never(SilentSearch):
        def started(self, plan: planning.SearchPlan, run: RunDirectory, n_done: int) -> None:
            raise AssertionError(f"{name} was tuned already")

    return Never()


def test_all_together_cost_what_the_search_did_at_low_cost_and_at_the_full_budget(small_request: SearchRequest, tmp_path: Path) -> None:
    request = replace(small_request, trials=14, confirm=3, max_params=400, sampler="random", start="none", out=str(tmp_path / "run"))
    run = engine.search(request, SilentSearch())
    tuned = tune(run, silent)
    assert [candidate.name for candidate in tuned.candidates] == list(BASELINES.values())
    assert tuned.left_out == ()
    n_confirmed = 0
    for name, candidate in zip(BASELINES, tuned.candidates, strict=True):
        found = RunDirectory.open(run.baselines_path / name)
        records = StudyReader.open(found).records()
        assert len({record.configuration.training["learning_rate"] for record in records}) == len(records) == 2
        confirmed = [record for record in records if record.confirmed]
        assert candidate.configuration == max(confirmed or records, key=_quality_then_size).configuration
        assert found.settings()["budget"] == run.settings()["budget"]
        assert not found.adapter_path(candidate.trial).exists()
        n_confirmed += len(confirmed)
    assert n_confirmed == 3
    n_new = sum(record.is_extra for record in StudyReader.open(run).records())
    n_train = run.settings()["examples"]["train"]  # a trial is one epoch, a confirmation six
    assert tuned.search.examples_seen == (14 + n_new + 3 * 6) * n_train
    assert tuned.costs.examples_seen == (14 + 3 * 6) * n_train
    by_name = {candidate.name: candidate.configuration for candidate in tuned.candidates}
    assert by_name["head only"].modules == ()
    assert by_name["LoRA"].modules[0].layers == by_name["LoRA on all linears"].modules[0].layers == (0, 1, 2)
    assert {"query", "attention_output", "ffn_out"} < {*by_name["LoRA on all linears"].modules[0].targets}
    assert by_name["full fine-tuning"].modules[0].method == "full_fine_tuning"

    assert tune(run, never) == tuned
    with pytest.raises(InvalidInputError, match="tuned with as many trials: lora has 2"):
        tune(run, never, trials=1)

    folder = retrain(run, tuned.candidates, RetrainRequest(seeds=1), Ear())
    found = {one.candidate.name: one.results[0] for one in folder.read()}
    assert found["head only"].trainable_parameters == 0
    assert found["full fine-tuning"].trainable_parameters == max(one.trainable_parameters for one in found.values()) > 10_000
    trained = [  # which were confirmed are not trained again
        (found[title].seconds, record.confirmation.seconds)
        for name, title in BASELINES.items()
        for record in StudyReader.open(RunDirectory.open(run.baselines_path / name)).records()
        if record.confirmation is not None
    ]
    assert len(trained) == 3
    assert all(one == other for one, other in trained)


def test_those_that_are_named_are_tuned_with_the_part_that_each_of_all_would_get(small_run: RunDirectory) -> None:
    tuned = tune(small_run, silent, methods=["head_only", "lora"])
    assert [candidate.name for candidate in tuned.candidates] == ["LoRA", "head only"]
    assert {path.name for path in small_run.baselines_path.iterdir()} == {"lora", "head_only"}
    records = StudyReader.open(RunDirectory.open(small_run.baselines_path / "lora")).records()
    assert len(records) == max(1, SearchRequest.from_settings(small_run.asked()).trials // len(BASELINES))
    assert tuned.costs.examples_seen == 2 * records[0].examples_seen


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
    with pytest.raises(UnsupportedError, match=r"no baseline fits this backbone: prefix is left out: .*its attention is odd"):
        tune(small_run, silent, methods=["prefix"], trials=1)


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
