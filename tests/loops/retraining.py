"""An ear for how retraining goes."""

from dataclasses import dataclass, field

from autopeft.loops.retrain import RetrainPlan
from autopeft.study.retrained import Candidate, SeedResult


@dataclass
class Ear:
    """Remembers which trainings ended, and can stop after so many."""

    stop_after: int | None = None
    finished: list[tuple[str, int]] = field(default_factory=list)
    n_done_at_start: int = -1

    def started(self, plan: RetrainPlan, n_done: int, n_total: int) -> None:
        self.n_done_at_start = n_done

    def seed_finished(self, candidate: Candidate, seed: int, outcome: SeedResult | str, n_done: int, n_total: int) -> None:
        assert isinstance(outcome, SeedResult), outcome
        self.finished.append((candidate.id, seed))
        if len(self.finished) == self.stop_after:
            raise KeyboardInterrupt
