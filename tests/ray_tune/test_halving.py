from types import SimpleNamespace
from typing import Any

import pytest

from autopeft.objectives import Objective

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"),  # Ray's own, of itself
]
OBJECTIVES = (Objective("accuracy", "maximize"), Objective("parameters", "minimize"))


class Controller:
    """Does what Tune's controller does with a scheduler's decisions."""

    def __init__(self, scheduler: Any, n: int) -> None:
        self.scheduler, self.finished, self.heard = scheduler, False, []
        searcher = SimpleNamespace(
            **{event: lambda name, event=event: self.heard.append((event, name)) for event in ("on_pause", "on_unpause")}
        )
        self.search_alg = SimpleNamespace(searcher=SimpleNamespace(searcher=searcher), is_finished=lambda: self.finished)
        self.trials = [Trial(trial_id=name, status="PENDING", last_result={}) for name in "abcdefgh"[:n]]
        for trial in self.trials:
            scheduler.on_trial_add(self, trial)

    def get_trials(self) -> list[Any]:
        return self.trials

    def stop_trial(self, trial: Any) -> None:
        self.scheduler.on_trial_remove(self, trial)
        trial.status = "TERMINATED"

    def run(self, name: str, accuracy: float, parameters: float, step: int) -> str:
        trial = next(trial for trial in self.trials if trial.trial_id == name)
        trial.status, trial.last_result = "RUNNING", {"accuracy": accuracy, "parameters": parameters, "step": step}
        decision: str = self.scheduler.on_trial_result(self, trial, trial.last_result)
        trial.status = {"PAUSE": "PAUSED", "STOP": "TERMINATED"}.get(decision, "RUNNING")
        return decision

    def chosen(self) -> str | None:
        trial = self.scheduler.choose_trial_to_run(self)
        return None if trial is None else str(trial.trial_id)


class Trial(SimpleNamespace):
    __hash__ = object.__hash__  # type: ignore[assignment]


@pytest.fixture
def controller() -> Controller:
    from autopeft.ray_tune import ParetoHalving

    return Controller(ParetoHalving(OBJECTIVES, (0.25, 0.5), reduction=2, time_attr="step", max_t=8), 4)


def test_trials_wait_until_they_are_among_the_best_of_their_rung(controller: Controller) -> None:
    assert controller.chosen() == "a"
    assert controller.run("a", 0.9, 10, 1) == "CONTINUE"  # before the first rung
    assert controller.run("a", 0.5, 10, 2) == "PAUSE"
    assert controller.heard == [("on_pause", "a")]
    assert controller.chosen() == "b"
    assert controller.run("b", 0.6, 5, 2) == "CONTINUE"  # dominates a: the better half goes on without a pause
    assert controller.run("c", 0.4, 20, 2) == "PAUSE"
    assert controller.run("d", 0.3, 1, 2) == "CONTINUE"  # on the front beside b
    assert controller.run("b", 0.7, 5, 8) == "STOP"
    assert controller.chosen() is None  # d runs
    controller.run("d", 0.5, 1, 8)
    assert controller.chosen() == "a"  # a result may be what the searcher waits for
    controller.trials[0].status = "PAUSED"
    controller.finished = True
    assert controller.chosen() is None
    assert [trial.status for trial in controller.trials] == ["TERMINATED"] * 4
    assert controller.scheduler.debug_string().endswith("trials measured 4 at 0.25, 0 at 0.5")


def test_the_best_of_a_search_without_a_whole_trial_goes_on(controller: Controller) -> None:
    controller.finished = True
    del controller.trials[3]
    controller.scheduler.on_trial_error(controller, controller.trials[2])
    controller.trials[2].status = "ERROR"
    assert controller.run("a", 0.9, 10, 2) == "CONTINUE"
    controller.scheduler.on_trial_error(controller, controller.trials[0])
    controller.trials[0].status = "ERROR"
    assert controller.run("b", 0.1, 20, 2) == "PAUSE"
    assert controller.chosen() == "b"
    assert controller.heard[-1] == ("on_unpause", "b")
