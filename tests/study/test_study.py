import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from autopeft.budget import Budget
from autopeft.configuration import Configuration
from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.objectives import PEAK_BYTES, TRAIN_SECONDS, TRAINABLE_PARAMETERS, Constraint, Objective, choose_objectives
from autopeft.samplers.registry import SAMPLERS
from autopeft.space.parameter import Real
from autopeft.space.slots import MethodChoice, ModuleSlot
from autopeft.space.space import SearchSpace
from autopeft.study import attributes
from autopeft.study.directory import RunDirectory
from autopeft.study.problem import SpaceProblem
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord, front
from autopeft.study.storage import DriverStorage
from autopeft.study.study import Study
from autopeft.training.measurement import Assignment, Measurement

OBJECTIVES = (Objective("accuracy", "maximize"), TRAINABLE_PARAMETERS)
SPACE = SearchSpace(
    "test", (ModuleSlot("lora", (MethodChoice("lora", (0, 1, 2, 4, 8)),)),), (Real("learning_rate", 1e-4, 1e-2, log=True),), 4
)


def known(configuration: Configuration) -> dict[str, float]:
    return {"trainable_parameters": sum(10.0 * module.size * len(module.layers or ()) for module in configuration.modules)}


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory.create(tmp_path / "run")
    run.write_settings({"objectives": [vars(objective) for objective in OBJECTIVES]})
    return run


def open_study(run: RunDirectory, sampler: str = "random", seed: int = 0) -> Study:
    return Study.create(run, SpaceProblem(SPACE, OBJECTIVES, known), sampler, seed)


def measurement(accuracy: float, parameters: int = 100) -> Measurement:
    return Measurement({"accuracy": accuracy, "loss": 0.5}, (), parameters, 10, 1.5, 1.0, 2048, 64)


def ask(study: Study) -> Assignment:
    number, configuration, seed = study.ask()
    return Assignment(number, configuration, Budget(), seed)


def test_a_told_trial_is_read_back_whole(run: RunDirectory) -> None:
    study = open_study(run)
    assignment = ask(study)
    told = study.tell(assignment, measurement(0.75, 123))
    assert told == TrialRecord(
        number=0,
        state="complete",
        configuration=assignment.configuration,
        seed=assignment.seed,
        values={"accuracy": 0.75, "trainable_parameters": 123.0},
        metrics={"accuracy": 0.75, "loss": 0.5},
        trainable_parameters=123,
        seconds=1.5,
        train_seconds=1.0,
        peak_bytes=2048,
        cpu_seconds=0.0,
        gpu_seconds=0.0,
        examples_seen=64,
        n_packed=1,
    )
    assert StudyReader.open(run).records() == [told]
    assert StudyReader.open(run).objectives == OBJECTIVES


def test_failures_are_records(run: RunDirectory) -> None:
    study = open_study(run)
    assert study.fail(ask(study), "out of memory").error == "out of memory"
    diverged = study.tell(ask(study), measurement(math.nan))
    assert (diverged.state, "accuracy is not a finite number" in diverged.error) == ("failed", True)
    assert [record.state for record in study.records()] == ["failed", "failed"]
    assert study.tell(ask(study), measurement(0.5)).state == "complete"


def test_running_trials_of_a_dead_process_come_again(run: RunDirectory) -> None:
    study = open_study(run)
    study.tell(ask(study), measurement(0.5))
    lost = [ask(study), ask(study)]
    del study
    resumed = open_study(run)
    assert resumed.take_over() == 2
    again = [ask(resumed), ask(resumed)]
    assert [(one.trial, one.configuration, one.seed) for one in again] == [(one.trial, one.configuration, one.seed) for one in lost]
    for one in again:
        resumed.tell(one, measurement(0.6))
    assert [record.state for record in resumed.records()] == ["complete"] * 3
    assert resumed.take_over() == 0


@pytest.mark.parametrize("where", [(DriverStorage, "write_begun"), (attributes, "identity")], ids=["writing", "before"])
@pytest.mark.parametrize("sampler", ["random", "tpe", "autopeft"])
def test_a_proposal_that_was_not_written_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str, where: tuple[Any, str]
) -> None:
    whole, broken = (RunDirectory.create(tmp_path / name) for name in ("whole", "broken"))
    expected = [ask(study) for study in [open_study(whole, sampler)] for _ in range(3)]
    study = open_study(broken, sampler)
    first = ask(study)

    def die(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(*where, die)
    with pytest.raises(KeyboardInterrupt):
        ask(study)
    monkeypatch.undo()
    assert study.records()[0].number == first.trial  # the end of a search reads them, half a trial among them or not
    study.put_back(first.trial)  # what is written now takes nothing half along
    resumed = open_study(broken, sampler)
    assert resumed.take_over() == 0
    assert [ask(resumed) for _ in range(3)] == expected


@pytest.mark.parametrize("sampler", ["random", "tpe", "autopeft"])
def test_interrupted_and_resumed_is_the_same_as_uninterrupted(tmp_path: Path, sampler: str) -> None:
    def search(folder: str, stops: set[int]) -> list[TrialRecord]:
        run = RunDirectory.create(tmp_path / folder)
        study = open_study(run, sampler)
        for step in range(14):
            if step in stops:
                study = open_study(run, sampler)
            assignment = ask(study)
            study.tell(assignment, measurement(sum(module.size for module in assignment.configuration.modules) / 100))
        return study.records()

    assert search("whole", set()) == search("broken", {5, 12})


@pytest.mark.parametrize("sampler", ["random", "tpe", "autopeft"])
def test_what_can_t_be_built_and_what_is_empty_is_not_proposed(run: RunDirectory, sampler: str) -> None:
    def even(configuration: Configuration) -> dict[str, float] | None:
        return known(configuration) if all(module.size % 2 == 0 for module in configuration.modules) else None

    study = Study.create(run, SpaceProblem(SPACE, OBJECTIVES, even), sampler, 0)
    proposed = [study.ask()[1] for _ in range(30)]
    assert all(even(one) and one.modules for one in proposed)
    assert len(set(proposed)) == 30


def test_our_sampler_takes_known_objectives_from_the_closed_form(run: RunDirectory) -> None:
    """What trials tell of the parameters is nonsense here, so a sampler that believed it would see no difference in size."""

    def mean_parameters(folder: Path, weight: float) -> float:
        def costs(configuration: Configuration) -> dict[str, float]:
            return {"trainable_parameters": 1.0 + weight * known(configuration)["trainable_parameters"]}

        study = Study.create(RunDirectory.create(folder), SpaceProblem(SPACE, OBJECTIVES, costs), "autopeft", 0)
        for _ in range(26):
            assignment = ask(study)
            study.tell(assignment, measurement(0.5, 100))
        return float(np.mean([known(record.configuration)["trainable_parameters"] for record in study.records()[16:]]))

    assert mean_parameters(run.path / "expensive", 1.0) < 0.5 * mean_parameters(run.path / "free", 0.0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_trial_above_a_measured_bound_is_infeasible_and_every_sampler_goes_on(run: RunDirectory, sampler: str) -> None:
    problem = SpaceProblem(SPACE, OBJECTIVES, known, [Constraint(TRAIN_SECONDS, 2.0), Constraint(PEAK_BYTES, 1e6)])
    study = Study.create(run, problem, sampler, 0)
    told = [study.tell(ask(study), replace(measurement(0.9 - 0.1 * i), train_seconds=4.0 - i)) for i in range(4)]
    study.fail(ask(study), "out of memory")
    assert [record.exceeds for record in told] == [("train_seconds",), ("train_seconds",), (), ()]
    assert [record.state for record in told] == ["complete"] * 4
    assert [one.number for one in front(study.records(), OBJECTIVES)] == [2]
    assert told[0].to_row()["exceeds"] == ["train_seconds"]
    stored = optuna.load_study(study_name="autopeft", storage=f"sqlite:///{run.storage_path}").trials[0]
    assert stored.constraints == {"train_seconds": 1.0, "peak_bytes": pytest.approx(-0.998, abs=1e-3)}
    study.tell(ask(study), measurement(0.5))


def test_tpe_learns_a_measured_bound(run: RunDirectory) -> None:
    """Quality and time rise together, so that without the bound large modules would stay attractive."""

    def late_sizes(folder: str, upper: float) -> float:
        problem = SpaceProblem(SPACE, OBJECTIVES, lambda _: {"trainable_parameters": 1.0}, [Constraint(TRAIN_SECONDS, upper)])
        study = Study.create(RunDirectory.create(run.path / folder), problem, "tpe", 0)
        for _ in range(26):
            assignment = ask(study)
            size = sum(module.size for module in assignment.configuration.modules)
            study.tell(assignment, replace(measurement(size / 10), train_seconds=float(size)))
        return float(np.mean([record.values["accuracy"] * 10 for record in study.records()[15:]]))

    assert late_sizes("bounded", 2.0) < 0.7 * late_sizes("free", 100.0)


def test_every_objective_is_stored_and_shown(run: RunDirectory) -> None:
    objectives = choose_objectives(
        ["accuracy", "adapter_bytes", "latency_seconds", "peak_bytes"], {"accuracy": "maximize", "loss": "minimize"}
    )
    study = Study.create(run, SpaceProblem(SPACE, objectives, lambda _: {"adapter_bytes": 440.0}), "random", 0)
    told = study.tell(ask(study), replace(measurement(0.5, 100), latency_seconds=0.01))
    assert told.values == {"accuracy": 0.5, "adapter_bytes": 440.0, "latency_seconds": 0.01, "peak_bytes": 2048.0}
    row = told.to_row()
    assert (row["adapter_bytes"], row["latency_seconds"], row["peak_bytes"], row["trainable_parameters"]) == (440.0, 0.01, 2048, 100)


def test_presets_come_first_once_and_again_after_a_crash(run: RunDirectory) -> None:
    point = SPACE.canonical({parameter.name: parameter.decode([1.0]) for parameter in SPACE.parameters})
    study = open_study(run)
    study.start_with({"large": point, "small": {**point, "lora.size": 1}})
    sizes = [ask(study).configuration.modules[0].size]
    study = open_study(run)
    study.start_with({"large": point, "small": {**point, "lora.size": 1}})
    study.take_over()
    asked = [ask(study) for _ in range(3)]
    sizes += [one.configuration.modules[0].size for one in asked[:2]]
    assert sorted(sizes) == [1, 8, 8]
    assert asked[2].configuration not in [one.configuration for one in asked[:2]]
    assert (
        sum(
            "start" in trial.user_attrs
            for trial in optuna.load_study(study_name="autopeft", storage=f"sqlite:///{run.storage_path}").trials
        )
        == 2
    )


def test_unknown_sampler_leaves_no_database(run: RunDirectory) -> None:
    with pytest.raises(UnknownNameError, match="sampler"):
        open_study(run, "bayes")
    assert not run.storage_path.exists()


@pytest.mark.parametrize("content", [None, b"not a database", b""], ids=["missing", "garbage", "empty"])
def test_unreadable_database(run: RunDirectory, content: bytes | None) -> None:
    if content is not None:
        run.storage_path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"study\.db"):
        StudyReader.open(run)


def test_front_keeps_what_nothing_dominates() -> None:
    def record(number: int, accuracy: float, parameters: int) -> TrialRecord:
        return TrialRecord(number, "complete", Configuration(), 0, {"accuracy": accuracy, "trainable_parameters": parameters})

    records = [record(0, 0.9, 100), record(1, 0.8, 100), record(2, 0.7, 10), record(3, 0.9, 200)]
    records.append(TrialRecord(4, "failed", records[0].configuration, 0, error="x"))
    assert [one.number for one in front(records, OBJECTIVES)] == [2, 0]
    assert front([], OBJECTIVES) == []


def test_optuna_s_own_view_is_readable(run: RunDirectory) -> None:
    study = open_study(run)
    study.tell(ask(study), measurement(0.75, 123))
    plain = optuna.load_study(study_name="autopeft", storage=f"sqlite:///{run.storage_path}")
    assert plain.metric_names == ["accuracy", "trainable_parameters"]
    attributes = plain.trials[0].user_attrs
    assert attributes["trainable_parameters"] == 123
    assert json.loads(attributes["configuration"])["training"].keys() == {"learning_rate"}


def test_times_tell_when_trials_ran_and_what_their_proposal_took(run: RunDirectory) -> None:
    study = open_study(run)
    first, second, _ = ask(study), ask(study), ask(study)
    study.tell(first, measurement(0.75))
    study.fail(second, "out of memory")
    found = StudyReader.open(run).times()
    assert [one.number for one in found] == [0, 1]
    assert all(one.began <= one.ended and one.suggestion_seconds is not None and one.suggestion_seconds > 0 for one in found)
    study.take_over()
    assert [one.number for one in study.times()] == [0, 1]


def test_what_is_expected_is_kept_and_read_without_torch(run: RunDirectory) -> None:
    study = open_study(run)
    study.expect()
    assert study.expectations() == {}
    for number in range(20):
        assignment = ask(study)
        if number == 3:
            study.fail(assignment, "no")
        else:
            study.tell(assignment, measurement(0.5 + 0.01 * number))
    study.expect()
    found = StudyReader.open(run).expectations()
    assert set(found) == set(range(20)) - {3}
    assert all(0.4 < one.mean < 0.8 and one.deviation > 0 for one in found.values())
