"""A synthetic family of problems that behave like a search for PEFT modules, with exact true fronts.

Legend:
    n, F, L   points, module families, layers
    s         n x F, sizes, 0 is off
    z         n x L, layer flags
    v         n, log10 of the learning rate
    N         n, trainable modules' parameters
    u         n x F, saturation s^p / (s^p + k^p) of each family
    T         n, capacity: importance-weighted over layers, families overlap, neighbouring layers share some of theirs

    accuracy = base + A g(T) eta(v - v*(s, z)) - delta max(0, log10 N - 6.2)^2 eta,    g rises and saturates, eta peaks at 1
    cost     = N + head

The best learning rate v* moves with N and with the first two families' share. A noisy observation adds normal noise. All constants are
drawn from the instance's number; the distributions are those under which the project's samplers were first compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution

from autopeft.pareto import hypervolume, non_dominated
from autopeft.samplers.problem import RATE_PER_SIZE, SIZE_DECADES, SearchProblem
from autopeft.space.parameter import OFF_GAP

Array = NDArray[np.float64]

HIDDEN = 768
BACKBONE = 110e6
HEAD = 1538
FLOOR = 68.4
"""Accuracy of a head alone, and of training that diverges."""
REFERENCE = np.array([1.45, -70.0])
"""log10 of the parameter percentage, and minus the accuracy, from which on a point counts for nothing."""
LOG_RATE = (-5.0, -2.0)
OVERLAP = 0.3
"""The share of the lesser one's capacity that two neighbouring layers have in common."""
N_INSTANCES = 3


@dataclass(frozen=True)
class Constants:
    """What is drawn for an instance."""

    layer_weight: Array
    half_size: Array
    power: Array
    ceiling: Array
    layer_gain: Array
    pair: Array
    interaction: float
    sharpness: float
    amplitude: float
    penalty: float
    rate_at: float
    rate_slope: float
    rate_share: float

    @classmethod
    def draw(cls, rng: np.random.Generator, n_layers: int, n_families: int) -> "Constants":
        """Draw an instance: a few layers matter most, later ones rather than early ones."""
        weight = rng.gamma(0.4, size=n_layers) * (0.5 + np.linspace(0, 1, n_layers))
        half_ranges = [(1, 4), (2, 5), (1, 5), (0, 3)][:n_families]
        return cls(
            layer_weight=0.92 * weight / weight.sum() + 0.08 / n_layers,
            half_size=np.array([2 ** rng.uniform(low, high) for low, high in half_ranges]),
            power=rng.uniform(0.6, 1.1, n_families),
            ceiling=rng.uniform(0.45, 0.85, n_families),
            layer_gain=np.clip(np.exp(0.3 * rng.normal(size=(n_layers, n_families))) * 0.9, 0.3, 1.1),
            pair=rng.choice(n_families, 2, replace=False),
            interaction=rng.uniform(-0.15, 0.2),
            sharpness=rng.uniform(2.5, 4),
            amplitude=rng.uniform(18, 21),
            penalty=rng.uniform(0.5, 1.2),
            rate_at=rng.uniform(-2.6, -2.3),
            rate_slope=rng.uniform(0.25, 0.4),
            rate_share=rng.uniform(0.1, 0.35),
        )


class SyntheticSearch:
    """One instance: of three in a row two have three families, the third has four."""

    directions = ("minimize", "maximize")
    constraints = ()

    def __init__(self, instance: int, n_layers: int = 12) -> None:
        self.name = f"synthetic {instance}" + (f", {n_layers} layers" if n_layers != 12 else "")
        self.n_layers, self.n_families = n_layers, 4 if instance % 3 == 2 else 3
        self.noise = (0.4, 0.3, 0.5)[instance % 3]
        self._c = Constants.draw(np.random.default_rng(100 + instance), n_layers, self.n_families)
        self.sizes = [np.r_[0, 2 ** np.arange(10)]] * 3 + [np.r_[0, 2 ** np.arange(7)]] * (self.n_families - 3)
        self._per_unit = np.array([2 * HIDDEN + 1, 2 * HIDDEN + 1, 2 * HIDDEN, 4 * HIDDEN])[: self.n_families]
        self._per_family = np.array([HIDDEN, HIDDEN, 0, 0])[: self.n_families]
        largest = np.array([[sizes[-1] for sizes in self.sizes]], dtype=np.float64)
        self._largest = self._capacity(largest, np.ones((1, n_layers)))[0]

    @cached_property
    def search_problem(self) -> "FamilyProblem":
        """The space, and what a search tells of such a space (see `autopeft.study.problem`)."""
        return FamilyProblem(self)

    def observe(self, params: dict[str, Any], rng: np.random.Generator) -> tuple[list[float], dict[str, float]]:
        """Return a trial's values, the accuracy with noise, and its constraints: there are none."""
        return [self.parameters(params), self.accuracy(params) + self.noise * rng.normal()], {}

    def valid(self, params: dict[str, Any]) -> bool:
        """Return whether a point has any module."""
        levels = any(params[f"size.{family}.level"] for family in range(self.n_families))
        return levels and any(params[f"layers.{layer}"] for layer in range(self.n_layers))

    def parameters(self, params: dict[str, Any]) -> float:
        """Return the number of trainable parameters."""
        sizes, flags, _ = self.read([params])
        return float(self.count(sizes, flags)[0] + HEAD)

    def losses(self, points: Sequence[dict[str, Any]]) -> Array:
        """Return n x 2: log10 of the parameter percentage, and minus the noise-free accuracy."""
        sizes, flags, rate = self.read(points)
        return self._losses(sizes, flags, rate)

    def accuracy(self, params: dict[str, Any]) -> float:
        """Return the noise-free accuracy."""
        return float(-self.losses([params])[0, 1])

    @cached_property
    def true_front(self) -> Array:
        """The true front's losses: of all sizes and numbers of layers, each with its best mask and at its best learning rate."""
        levels = np.array([one for one in product(*map(range, map(len, self.sizes))) if any(one)])
        sizes = np.stack([self.sizes[family][column].astype(np.float64) for family, column in enumerate(levels.T)], axis=1)
        capacities = self._best_capacities(sizes)
        fronts = []
        for n_on in range(1, self.n_layers + 1):
            count = n_on * self._per_layer(sizes)
            fronts.append(_front(self._losses_of(capacities[n_on], count, np.zeros(len(sizes)))))
        return _front(np.concatenate(fronts))

    def _best_capacities(self, sizes: Array) -> Array:
        """Return, for 0 to L layers on, the largest capacity that K rows of sizes reach, (L + 1) x K.

        Along the layers, by how many are on and whether the last is: what a layer adds depends on no other but the one before.
        """
        gains = self._gains(sizes).T
        off = np.full((self.n_layers + 1, len(sizes)), -np.inf)
        on = off.copy()
        off[0] = 0.0
        before = np.zeros(len(sizes))
        for gain in gains:
            stays_off = np.maximum(off, on)
            on = np.roll(np.maximum(off + gain, on + gain - OVERLAP * np.minimum(gain, before)), 1, axis=0)
            on[0] = -np.inf
            off, before = stays_off, gain
        result: Array = np.maximum(off, on)
        return result

    @cached_property
    def best_hypervolume(self) -> float:
        """Hypervolume of the true front."""
        return hypervolume(self.true_front, REFERENCE)

    def reached(self, points: list[dict[str, Any]]) -> float:
        """Return the hypervolume of points' noise-free losses, as a fraction of the true front's."""
        return hypervolume(self.losses(points), REFERENCE) / self.best_hypervolume

    def read(self, points: Sequence[dict[str, Any]]) -> tuple[Array, Array, Array]:
        """Return the sizes, n x F, flags, n x L, and logarithms of the learning rates, n."""
        sizes = [[self.sizes[family][params[f"size.{family}.level"]] for family in range(self.n_families)] for params in points]
        flags = [[params[f"layers.{layer}"] for layer in range(self.n_layers)] for params in points]
        rates = np.log10([params["learning_rate"] for params in points])
        shapes = (len(points), self.n_families), (len(points), self.n_layers)
        return *(np.array(one, dtype=np.float64).reshape(shape) for one, shape in zip((sizes, flags), shapes, strict=True)), rates

    def _per_layer(self, sizes: Array) -> Array:
        result: Array = sizes @ self._per_unit + (sizes > 0) @ self._per_family
        return result

    def count(self, sizes: Array, flags: Array) -> Array:
        """Return N."""
        result: Array = flags.sum(axis=1) * self._per_layer(sizes)
        return result

    def _gains(self, sizes: Array) -> Array:
        """Return what each layer alone adds to the capacity, K x L."""
        c = self._c
        u = sizes**c.power / (sizes**c.power + c.half_size**c.power)
        each = 1 - np.prod(1 - np.clip(c.ceiling * u[:, None, :] * c.layer_gain, 0, 0.98), axis=-1)
        result: Array = c.layer_weight * each * (1 + c.interaction * u[:, c.pair[0]] * u[:, c.pair[1]])[:, None]
        return result

    def _capacity(self, sizes: Array, flags: Array) -> Array:
        weighted = flags * self._gains(sizes)
        result: Array = weighted.sum(axis=1) - OVERLAP * np.minimum(weighted[:, 1:], weighted[:, :-1]).sum(axis=1)
        return result

    def _best_rate(self, sizes: Array, flags: Array) -> Array:
        magnitude = np.log10(np.maximum(self.count(sizes, flags), 1e3))
        share = sizes[:, 2] / np.maximum(sizes.sum(axis=1), 1)
        return np.clip(self._c.rate_at - self._c.rate_slope * (magnitude - 4) + self._c.rate_share * share, -4.6, -2.2)

    def _losses(self, sizes: Array, flags: Array, rate: Array) -> Array:
        return self._losses_of(self._capacity(sizes, flags), self.count(sizes, flags), rate - self._best_rate(sizes, flags))

    def _losses_of(self, capacity: Array, count: Array, off: Array) -> Array:
        """Return the losses of capacities and counts at learning rates so far off the best."""
        c = self._c
        gain = (1 - np.exp(-c.sharpness * capacity / self._largest)) / (1 - np.exp(-c.sharpness))
        # Too low a rate learns slowly; too high a one loses faster, and beyond 0.8 it diverges.
        eta = np.exp(-0.5 * (off / np.where(off < 0, 0.75, 0.45)) ** 2)
        eta *= (1 + np.exp(-0.8 / 0.07)) / (1 + np.exp((off - 0.8) / 0.07))
        penalty = c.penalty * np.maximum(0, np.log10(np.maximum(count, 1)) - 6.2) ** 2
        accuracy = np.where(count > 0, FLOOR + (c.amplitude * gain - penalty) * eta, FLOOR)
        return np.stack([np.log10(100 * (count + HEAD) / BACKBONE), -accuracy], axis=1)


class FamilyProblem(SearchProblem):
    """What can be told of a point: the cost, which is exact, whether it has a module, and how much there is in a layer."""

    def __init__(self, synthetic: SyntheticSearch) -> None:
        self.synthetic = synthetic
        sizes = {f"size.{family}.level": IntDistribution(0, len(sizes) - 1) for family, sizes in enumerate(synthetic.sizes)}
        flags = [f"layers.{layer}" for layer in range(synthetic.n_layers)]
        rate = {"learning_rate": FloatDistribution(10 ** LOG_RATE[0], 10 ** LOG_RATE[1], log=True)}
        distributions = {**sizes, **{name: IntDistribution(0, 1) for name in flags}, **rate}
        super().__init__(distributions, {0: synthetic.parameters}, trivial={1: FLOOR}, flags=[flags])

    def violation(self, params: dict[str, Any]) -> float:
        """Return 1 for a point without any module."""
        return 0.0 if self.synthetic.valid(params) else 1.0

    def encode(self, points: Sequence[dict[str, Any]]) -> Array:
        """Return levels with a gap after off, flags, and the position of the learning rate."""
        of, n_families = self.synthetic, self.synthetic.n_families
        levels = np.array([[params[f"size.{family}.level"] for family in range(n_families)] for params in points], dtype=np.float64)
        levels = levels.reshape(len(points), n_families)
        spans = np.array([len(sizes) - 1 for sizes in of.sizes]) + OFF_GAP
        _, flags, rate = of.read(points)
        positions = (rate - LOG_RATE[0]) / (LOG_RATE[1] - LOG_RATE[0])
        return np.concatenate([(levels + OFF_GAP * (levels > 0)) / spans, flags, positions[:, None]], axis=1)

    def features(self, points: Sequence[dict[str, Any]]) -> Array:
        """Return how many parameters there are in a layer, and how high the learning rate is for as many parameters, n x 2."""
        sizes, flags, rate = self.synthetic.read(points)
        size = np.log10(self.synthetic.count(sizes, flags) + HEAD)
        in_layer = (size - np.log10(np.maximum(1, flags.sum(axis=1)))) / SIZE_DECADES
        return np.stack([in_layer, (rate + RATE_PER_SIZE * size) / (LOG_RATE[1] - LOG_RATE[0])], axis=1)


def _front(losses: Array) -> Array:
    # A cheap first pass along the cost: the quadratic mask would need gigabytes for all points.
    ordered = losses[np.lexsort((losses[:, 1], losses[:, 0]))]
    lowest = np.minimum.accumulate(np.r_[np.inf, ordered[:-1, 1]])
    thinned = ordered[ordered[:, 1] < lowest]
    return thinned[non_dominated(thinned)]
