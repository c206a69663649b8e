"""What the trials' first objective would be on average over seeds, and which trials would then be on the front."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any

from autopeft.inference import CONFIDENCE, variance_over_rows
from autopeft.objectives import Objective
from autopeft.report.formatting import score
from autopeft.study.record import Expectation, TrialRecord, low_cost_front
from autopeft.tasks.metrics import bounds
from autopeft.words import plural

QUANTILE = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True)
class ExpectedFront:
    """What the surrogate makes of the trials' measurements."""

    trials: Mapping[int, Expectation]
    """By trial, what is expected of the first objective; empty if there are too few trials or it follows from the configuration."""
    front: tuple[int, ...]
    """The trials that no other dominates by expectation, in rising order of the last objective's loss."""
    flatters: float
    """By how much the measured front is better than expected, in the mean; NaN without expectations."""
    n_rows: int | None = None
    """Validation examples that trials were measured on; None if the run doesn't say."""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    """The least and the largest value of the first objective."""

    @classmethod
    def of(
        cls,
        records: Sequence[TrialRecord],
        objectives: Sequence[Objective],
        expected: Mapping[int, Expectation],
        n_rows: int | None = None,
    ) -> "ExpectedFront":
        """Work out the front by expectation."""
        if not expected:
            return cls({}, (), math.nan)
        leading = objectives[0]
        known = [record for record in records if record.number in expected]
        by_expectation = [replace(one, values={**one.values, leading.name: expected[one.number].mean}) for one in known]
        better = [leading.sign * (expected[one.number].mean - one.values[leading.name]) for one in low_cost_front(known, objectives)]
        found = tuple(record.number for record in low_cost_front(by_expectation, objectives))
        flatters = sum(better) / len(better) if better else math.nan
        is_metric = any(leading.name in record.metrics for record in records)
        return cls(dict(expected), found, flatters, n_rows, bounds(leading.name) if is_metric else cls.bounds)

    def interval(self, trial: int) -> tuple[float, float] | None:
        """Return where a trial would be with 95 % probability, over seeds by the surrogate and over validation examples by their number."""
        if trial not in self.trials:
            return None
        found = self.trials[trial]
        reach = QUANTILE * math.sqrt(found.deviation**2 + variance_over_rows(found.mean, self.n_rows, self.bounds))
        return max(self.bounds[0], found.mean - reach), min(self.bounds[1], found.mean + reach)

    def words(self, trial: int) -> str:
        """Return what a table says of a trial."""
        interval = self.interval(trial)
        return "-" if interval is None else f"{score(self.trials[trial].mean)} [{score(interval[0])}, {score(interval[1])}]"

    def verdict(self, measured: Sequence[int]) -> str:
        """Say what the expectations are and how they compare with the measured front; empty without them."""
        if not self.trials:
            return ""
        text = "Expected: what a surrogate of all trials thinks the configuration would measure on average over seeds, "
        text += f"with a {CONFIDENCE:.0%} interval; it takes what similar configurations don't share for noise. "
        if self.n_rows is not None:
            text += f"The interval counts too that other than these {plural(self.n_rows, 'validation example')} would give other numbers. "
        if self.flatters > 0:
            text += f"The front's measurements are better than it by {score(self.flatters)} in the mean. "
        new = [number for number in self.front if number not in measured]
        names = ", ".join(f"#{number}" for number in self.front)
        text += f"By expectation the front would be {names}" + (
            f", with {plural(len(new), 'trial')} that the measured one lacks." if new else "."
        )
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"trials": {str(number): asdict(one) for number, one in self.trials.items()}, "front": list(self.front)}
