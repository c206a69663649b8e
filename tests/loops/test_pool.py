import math
from collections import deque

from autopeft.budget import Budget
from autopeft.configuration import Configuration
from autopeft.loops.pool import MAX_RETRIES, Pool
from autopeft.training.measurement import Assignment, Outcome


class Source:
    """Hands out so many assignments, and notes what it takes back."""

    thinks_ahead = True

    def __init__(self, n: int) -> None:
        self.waiting = deque(Assignment(number, Configuration(), Budget(), number) for number in range(n))
        self.back: list[int] = []

    def next_assignment(self) -> Assignment | None:
        return self.waiting.popleft() if self.waiting else None

    def put_back(self, assignment: Assignment) -> None:
        self.back.append(assignment.trial)


class Workers:
    """Two workers, which die at every attempt at trial 1 and at the first at trial 2."""

    capacity, works_apart = 2, True

    def __init__(self) -> None:
        self.submitted: list[int] = []
        self._running: deque[Assignment] = deque()

    def describe(self) -> None: ...

    def close(self) -> None: ...

    def submit(self, assignment: Assignment) -> None:
        self.submitted.append(assignment.trial)
        self._running.append(assignment)
        assert len(self._running) <= self.capacity

    def next_outcome(self) -> Outcome:
        assignment = self._running.popleft()
        lost = assignment.trial == 1 or (assignment.trial == 2 and self.submitted.count(2) == 1)
        return Outcome(assignment, error="it died" if lost else "", lost=lost)


def test_workers_are_kept_busy_and_what_died_with_one_is_tried_again() -> None:
    source, workers = Source(5), Workers()
    pool = Pool(workers, source)
    found = {outcome.assignment.trial: outcome.lost for outcome in pool.outcomes()}
    assert found == {0: False, 1: True, 2: False, 3: False, 4: False}
    assert [workers.submitted.count(number) for number in range(5)] == [1, 1 + MAX_RETRIES, 2, 1, 1]
    assert pool.n_handed_out == 0
    assert not source.back


def test_nothing_starts_after_the_deadline_and_what_was_held_ready_goes_back() -> None:
    source, workers = Source(5), Workers()
    pool = Pool(workers, source, deadline=math.inf)
    outcomes = pool.outcomes()
    next(outcomes)
    pool._deadline = -math.inf
    left = [outcome.assignment.trial for outcome in outcomes]
    assert set(left) <= set(workers.submitted)
    assert sorted({*workers.submitted, *source.back, *(one.trial for one in source.waiting)}) == list(range(5))
    assert not set(source.back) & set(workers.submitted)
