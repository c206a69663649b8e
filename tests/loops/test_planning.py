"""What a search comes to before anything is trained, and what is refused there."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autopeft.errors import InvalidInputError, UnknownNameError, UnsupportedError
from autopeft.loops import planning
from autopeft.loops import search as engine
from autopeft.loops.data import load_data, low_cost_budget
from autopeft.methods.method import Method
from autopeft.methods.registry import get_method
from autopeft.request import SearchRequest
from autopeft.training.batches import draw
from tests.loops.searches import Log, records


def test_a_plan_trains_nothing(request_: SearchRequest) -> None:
    plan = planning.plan(request_)
    assert plan.facts.topology.n_layers == 3
    assert plan.space.n_layers == 3
    assert not Path(str(request_.out)).exists()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [({}, 4), ({"batch_size": 16}, 16), ({"batch_tokens": 512}, 16), ({"epochs": 20}, 8), ({"train_examples": 30, "epochs": 20}, 4)],
)
def test_few_examples_come_in_smaller_batches_unless_asked_otherwise(request_: SearchRequest, asked: dict[str, int], expected: int) -> None:
    budget = planning.plan(replace(request_, **{"batch_size": None, **asked})).budget
    assert budget.batch_size == expected


def test_a_loss_that_compares_the_examples_of_a_batch_keeps_its_size(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps({"query": f"what is {row}", "positive": f"{row} is a number"}) + "\n" for row in range(40)))
    request = SearchRequest(train=str(file), kind="embedding")
    data = load_data(request)
    assert low_cost_budget(request, data).batch_size == data.task.low_cost.batch_size == 32


def test_the_trivial_score_is_of_the_examples_that_trials_measure_on(request_: SearchRequest) -> None:
    plan = planning.plan(replace(request_, evaluation_examples=7))
    measured = draw(plan.data.validation, 7).targets
    assert plan.problem.trivial == {0: pytest.approx(np.bincount(measured).max() / 7)}
    assert 0.1 < plan.problem.trivial_errors["accuracy"] < 0.5 / 7**0.5
    assert plan.problem.trivial != planning.plan(request_).problem.trivial


def test_a_single_answer_among_the_examples_that_trials_measure_on_is_said(request_: SearchRequest, tmp_path: Path) -> None:
    file = tmp_path / "rare.csv"
    file.write_text("a,b,label\n" + "".join(f"the cat,likes,{'same' if row == 11 else 'different'}\n" for row in range(300)))

    def said(n_examples: int | None) -> list[str]:
        plan = planning.plan(replace(request_, validation=str(file), evaluation_examples=n_examples))
        return [note for note in plan.data.notes if "a single answer" in note]

    (note,) = said(20)
    assert "the 20 validation examples that trials measure on have a single answer" in note
    assert "--evaluation-examples takes more of the 300" in note
    assert said(None) == []


@pytest.mark.parametrize(
    "compared",
    [
        {"objectives": ("accuracy", "train_seconds")},
        {"objectives": ("accuracy", "peak_bytes")},
        {"max_train_seconds": 9.0},
        {"max_memory": "8G"},
    ],
)
def test_where_time_or_memory_is_compared_no_trial_reuses_what_another_paid_for(request_: SearchRequest, compared: dict[str, Any]) -> None:
    plan = planning.plan(request_)
    kept, computed = (planning.runner_settings(one, plan.backbone, plan.data, 1) for one in (request_, replace(request_, **compared)))
    assert (kept.cache_bytes, computed.cache_bytes) == (request_.n_cache_bytes, 0)


def test_presets_become_the_nearest_points_of_the_space(request_: SearchRequest) -> None:
    request = replace(request_, start=("mam", "lora"), trials=3)
    started = {name: dict(point) for name, point in planning.plan(request).start.items()}
    run = engine.search(request, Log())
    mam, lora, _ = (record.configuration for record in records(run))
    assert {(module.method, module.size, module.layers) for module in mam.modules} == {
        ("prefix", 32, (0, 1, 2)),  # 30 in the preset
        ("parallel_adapter", 128, (0, 1, 2)),  # 512, and 128 is the largest that the space has
    }
    assert [(module.method, module.size, module.targets) for module in lora.modules] == [("lora", 8, ("query", "value"))]
    assert lora.training == {"learning_rate": pytest.approx(1e-3)}
    assert list(started) == ["mam", "lora"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"space": "lora", "start": ("mam",)},
            r"start with mam: the space lora has no place for parallel_adapter.*can start with: lora\.",
        ),
        (
            {"start": ("mam",), "max_params": "2k"},
            r"start with mam: it comes to .*prefix 32.*more than allowed.*can start with: autopeft",
        ),
        ({"max_params": 10}, r"no configuration of the space default keeps its trainable parameters to 10: the smallest possible has 64 "),
        ({"max_adapter_bytes": "200"}, r"keeps its adapter bytes to 200: the smallest possible has 4,744 bytes"),
        ({"max_memory": "lots"}, r"--max-memory must be a number above 0"),
        ({"max_train_seconds": 0.0}, r"--max-train-seconds must be a number above 0"),
        ({"objectives": ("accuracy",)}, "2 to 4 different objectives"),
    ],
)
def test_what_no_search_can_meet_is_said_at_once(request_: SearchRequest, changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        planning.plan(replace(request_, **changes))  # type: ignore[arg-type]


def test_methods_that_the_model_can_t_take_are_left_out_with_the_reason(request_: SearchRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def get(name: str) -> Method:
        reason = "it is too small" if name in refused else ""
        return replace(get_method(name), unsupported=lambda topology: reason)

    monkeypatch.setattr(planning, "get_method", get)
    refused = {"prefix"}
    run = engine.search(request_, Log())
    assert run.settings()["left_out"] == ["prefix is left out: it is too small"]
    assert not any(module.method == "prefix" for record in records(run) for module in record.configuration.modules)
    refused = {"prefix", "lora", "serial_adapter", "parallel_adapter", "bitfit", "norm_tuning"}
    with pytest.raises(UnsupportedError, match="can take no method of the space default; bitfit is left out: it is too small"):
        engine.search(replace(request_, out=None), Log())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": None}, "needs a task, own files or a data set"),
        ({"task": "mrpc"}, "both are given: --task and --train"),
        ({"text": ("a", "b"), "label": None, "kind": "clasification"}, "kind of task"),
        ({"trials": 0}, "--trials must be a whole number of 1 or more"),
        ({"workers": -1}, "--workers must be a whole number of 0 or more"),
        ({"time_limit": 0.0}, "--time-limit must be more than 0 minutes"),
        ({"time_limit": float("inf")}, "--time-limit must be .* finite"),
        ({"trial_timeout": float("nan")}, "--trial-timeout must be .* finite"),
        ({"seed": 2**32}, "--seed must be at most 4294967295"),
        ({"epochs": 0}, "budget's epochs"),
        ({"rungs": (0.5, 0.2)}, "rungs must be rising shares"),
        ({"reduction": 1.0}, "reduction must be more than 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_impossible_requests(request_: SearchRequest, changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        replace(request_, **changes)  # type: ignore[arg-type]


def test_unknown_names(request_: SearchRequest) -> None:
    with pytest.raises(UnknownNameError, match="sampler"):
        replace(request_, sampler="tep")
    with pytest.raises(UnknownNameError, match="preset"):
        replace(request_, start=("mamm",))
    with pytest.raises(UnknownNameError, match="objective"):
        planning.plan(replace(request_, objectives=("accuracy", "parameters")))
    with pytest.raises(UnknownNameError, match="kind of task"):
        replace(request_, kind="ranking")


def test_settings_round_trip(request_: SearchRequest) -> None:
    settings = json.loads(json.dumps(request_.to_settings({})))
    assert SearchRequest.from_settings(settings) == request_
    with pytest.raises(InvalidInputError, match="doesn't know"):
        SearchRequest.from_settings({"colour": {"value": 1}})


def test_the_space_of_every_method_gives_buildable_configurations(request_: SearchRequest) -> None:
    plan = planning.plan(replace(request_, space="all"))
    assert plan.left_out == ()
    run = engine.search(replace(request_, space="all", sampler="random", trials=20), Log())
    assert {record.state for record in records(run)} == {"complete"}
    assert len({module.method for record in records(run) for module in record.configuration.modules}) > 12
