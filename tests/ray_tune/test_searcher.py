import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.objectives import Objective

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"),  # Ray's own, of itself
]

SPACE = {**{f"layer.{i}": IntDistribution(0, 1) for i in range(4)}, "size": CategoricalDistribution((4, 8, 16))}
OBJECTIVES = (Objective("accuracy", "maximize"), Objective("parameters", "minimize", known=True))
Point = dict[str, Any]


def parameters(point: Point) -> float:
    return float(point["size"] * sum(point[f"layer.{i}"] for i in range(4)))


def result(point: Point, progress: float = 1.0) -> Point:
    accuracy = 0.5 + 0.004 * parameters(point) + 0.05 * point["layer.3"]
    return {"accuracy": accuracy * progress, "parameters": parameters(point), "progress": progress}


@pytest.fixture
def make() -> Callable[..., Any]:
    from autopeft.ray_tune import AutopeftSearch

    def make(**settings: Any) -> Any:
        return AutopeftSearch(SPACE, OBJECTIVES, exact_costs={"parameters": parameters}, **settings)

    return make


def run(search: Any, first: int, last: int) -> list[Point]:
    points = []
    for number in range(first, last):
        points.append(search.suggest(f"trial {number}"))
        search.on_trial_complete(f"trial {number}", result(points[-1]))
    return points


def test_a_restored_search_goes_on_as_if_it_had_never_stopped(make: Callable[..., Any], tmp_path: Path) -> None:
    first = dict.fromkeys(SPACE, 0) | {"size": 8, "layer.2": 1}
    search = make(seed=3, start=[first])
    assert run(search, 0, 18)[0] == first
    running, _ = search.suggest("running"), search.suggest("failing")
    search.on_trial_result("running", result(running, 0.5))
    search.on_trial_complete("failing", error=True)
    search.save(str(tmp_path / "state"))
    json.loads((tmp_path / "state").read_text())  # nothing that runs code when it is read

    again = make(seed=3)
    again.restore(str(tmp_path / "state"))
    for one in (search, again):
        one.on_trial_complete("running", result(running))
    assert run(search, 20, 23) == run(again, 20, 23)
    states = [trial.state.name for trial in again._study.get_trials()]
    assert states == ["COMPLETE"] * 19 + ["FAIL"] + ["COMPLETE"] * 3
    (tmp_path / "state").write_text("{")
    with pytest.raises(InvalidInputError, match="the searcher's state can't be read"):
        again.restore(str(tmp_path / "state"))


def test_what_a_scheduler_stopped_teaches_and_is_no_final_value(make: Callable[..., Any]) -> None:
    search = make()
    stopped, removed = search.suggest("stopped"), search.suggest("removed")
    search.on_trial_complete("stopped", result(stopped, 0.5))
    search.on_trial_result("removed", result(removed, 0.25))
    search.on_trial_complete("removed")  # as Tune says it of one that waited
    search.suggest("diverged")
    search.on_trial_complete("diverged", {"accuracy": float("nan"), "parameters": 1.0, "progress": 1.0})
    trials = search._study.get_trials()
    assert [trial.state.name for trial in trials] == ["PRUNED", "PRUNED", "FAIL"]
    assert [[share for share, _ in trial.user_attrs["early"]] for trial in trials[:2]] == [[0.5], [0.25]]
    assert trials[0].user_attrs["early"][0][1] == [-result(stopped, 0.5)["accuracy"], parameters(stopped)]


def test_no_point_comes_twice_and_a_space_ends(make: Callable[..., Any]) -> None:
    search = make(sampler="random")
    found = []
    for number in range(100):
        point = search.suggest(str(number))
        if point == search.FINISHED:
            break
        found.append(tuple(point.items()))
        search.on_trial_complete(str(number), result(point))
    assert len(set(found)) == len(found) == 2**4 * 3


def test_trials_that_wait_leave_room_for_others(make: Callable[..., Any]) -> None:
    from ray.tune.search import ConcurrencyLimiter

    search = ConcurrencyLimiter(make(), 2)
    assert search.suggest("a")
    assert search.suggest("b")
    assert search.suggest("c") is None
    search.on_pause("a")
    assert search.suggest("c")
    search.on_unpause("a")
    search.on_trial_complete("b", error=True)
    assert search.suggest("d") is None


def test_exact_costs_of_no_objective() -> None:
    from autopeft.ray_tune import AutopeftSearch, plan

    with pytest.raises(InvalidInputError, match="exact costs belong to objectives, which are accuracy, parameters"):
        AutopeftSearch({"x": FloatDistribution(0, 1)}, OBJECTIVES, exact_costs={"size": parameters})
    with pytest.raises(InvalidInputError, match=r"Tune decides workers\. Leave it out; in Tune that is resources"):
        plan(task="demo", workers=2)
    with pytest.raises(InvalidInputError, match=r"Tune decides confirm\. Leave it out; .* plan\.budget\.full"):
        plan(task="demo", confirm=2)
    with pytest.raises(UnknownNameError, match="Did you mean 'epochs'"):
        plan(task="demo", epoch=2)
