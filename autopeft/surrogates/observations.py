"""What was measured, at any number of fidelities.

Legend:
    n, d, m, k   observations, coordinates of a point, losses, fidelities
    fidelity     a share in (0, 1] of some means, such as a trial's steps or a data set's examples; 1 is the whole
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Observations:
    """Measured points."""

    points: Array
    """n x d."""
    values: Array
    """n x m: losses, of what was measured before its end those that it would have reached."""
    fidelities: Array
    """n x k; k may be 0."""

    @property
    def complete(self) -> Mask:
        """n: which were measured at full fidelity."""
        return np.asarray((self.fidelities == 1).all(axis=1))

    @property
    def lowered(self) -> Mask:
        """k: the fidelities that not all observations have in full. Of the others a surrogate need not know."""
        return np.asarray((self.fidelities < 1).any(axis=0))

    def inputs(self) -> Array:
        """Return what a surrogate is fitted to, n x (d + f): the points, then what each lacks of the f lowered fidelities."""
        return np.concatenate([self.points, 1.0 - self.fidelities[:, self.lowered]], axis=1)

    def at_full_fidelity(self, points: Array) -> Array:
        """Return N x d points as such inputs, N x (d + f), that lack nothing."""
        return np.concatenate([points, np.zeros((len(points), int(self.lowered.sum())))], axis=1)
