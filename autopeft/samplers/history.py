"""What a study holds: what its trials measured, what still runs, and what must not be proposed again.

Legend: m objectives, n observations, k fidelities, e ended trials, c bounds. A point is a trial's parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from autopeft.samplers.partial import ReadEarly, extrapolate, nothing_early
from autopeft.samplers.problem import Parameters

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

UNFINISHED = (TrialState.RUNNING, TrialState.PRUNED)
OVER = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class History:
    """The record that a suggestion follows from."""

    observed: list[Parameters]
    """n points: trials that completed with finite values, in the order in which they did, then those that stopped or wait before their
    end with an early measurement that says something."""
    values: Array
    """n x m; of what has not ended the values that it would have reached, see `partial`."""
    fidelities: Array
    """n x k: shares of the whole at which each was measured; 1 for what completed."""
    feasible: Mask
    """n: which completed and kept to all bounds; the others teach, and nothing need be better than them."""
    ended: list[Parameters]
    """e points: trials that completed or failed."""
    excess: Array
    """e x c: by how much each exceeded each bound, NaN where that wasn't measured. The last bound is not to fail: 1 or -1."""
    running: list[Parameters]
    """Running trials; those that have an early measurement are among the observed."""
    tried: list[Parameters]
    """All trials, however they ended: none is proposed again."""

    @property
    def n_complete(self) -> int:
        """How many of the observed completed; they come first."""
        return int((self.fidelities == 1).all(axis=1).sum())


def read_history(
    trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution], n_objectives: int, read_early: ReadEarly = nothing_early
) -> History:
    """Read a study's trials, each with its early measurements.

    A trial without all parameters is left out (Optuna stores a running trial's one by one, so it isn't asked yet), and so is one that
    drew from other distributions. Stopped trials without early measurements count as tried only. A trial whose values are not all finite
    has failed, however it is marked.
    """
    whole = [trial for trial in trials if all(trial.distributions.get(name) == one for name, one in space.items())]

    def points(some: Sequence[FrozenTrial]) -> list[Parameters]:
        return [{name: trial.params[name] for name in space} for trial in some]

    done = sorted((trial for trial in whole if trial.state == TrialState.COMPLETE and _finite(trial)), key=_end)
    failed = [trial for trial in whole if trial.state == TrialState.FAIL or (trial.state == TrialState.COMPLETE and not _finite(trial))]
    bounds = sorted({name for trial in done for name in trial.constraints})
    excess = np.array([[trial.constraints.get(name, np.nan) for name in bounds] for trial in done]).reshape(len(done), len(bounds))
    not_failing = np.concatenate([np.full(len(done), -1.0), np.ones(len(failed))])[:, None]
    values = np.array([trial.values for trial in done], dtype=np.float64).reshape(len(done), n_objectives)
    before = [read_early(trial) for trial in done]
    early = {trial.number: measured for trial in whole if trial.state in UNFINISHED and (measured := read_early(trial))}
    ends = {number: end for number, measured in early.items() if (end := extrapolate(measured, before, values)) is not None}
    reached = [early[number][-1].fidelities for number in ends]
    n_fidelities = len(reached[0]) if reached else 1
    partial = [trial for trial in whole if trial.number in ends]
    return History(
        observed=points([*done, *partial]),
        values=np.concatenate([values, np.array(list(ends.values())).reshape(len(ends), n_objectives)]),
        fidelities=np.concatenate([np.ones((len(done), n_fidelities)), np.array(reached).reshape(len(reached), n_fidelities)]),
        feasible=np.concatenate([~(excess > 0).any(axis=1), np.zeros(len(partial), dtype=np.bool_)]),
        ended=points([*done, *failed]),
        excess=np.concatenate([np.pad(excess, ((0, len(failed)), (0, 0)), constant_values=np.nan), not_failing], axis=1),
        running=points([trial for trial in whole if trial.state == TrialState.RUNNING and trial.number not in early]),
        tried=points(whole),
    )


def shared_space(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Return the distributions that all finished trials share; of a study without any, the fullest running trial's."""
    finished = [trial.distributions for trial in trials if trial.state in OVER and trial.distributions]
    if not finished:
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        return dict(max(running, key=lambda trial: len(trial.distributions)).distributions) if running else {}
    return {name: one for name, one in finished[-1].items() if all(other.get(name) == one for other in finished)}


def _end(trial: FrozenTrial) -> tuple[datetime, int]:
    return trial.datetime_complete or datetime.min, trial.number


def _finite(trial: FrozenTrial) -> bool:
    return bool(np.isfinite(trial.values).all())
