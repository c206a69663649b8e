"""Samplers by name. Each entry makes an Optuna sampler from a seed."""

from collections.abc import Callable
from dataclasses import dataclass

from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from autopeft.errors import UnknownNameError

NSGA2_POPULATION = 16
"""A search of some 64 trials sees four generations; Optuna's default of 50 would see one."""


@dataclass(frozen=True)
class SamplerEntry:
    """One sampler of the table."""

    summary: str
    make: Callable[[int], BaseSampler]
    """Makes a fresh sampler from a seed."""


SAMPLERS: dict[str, SamplerEntry] = {
    "tpe": SamplerEntry("Tree-structured Parzen estimator (Optuna)", lambda seed: TPESampler(seed=seed, constant_liar=True)),
    "nsga2": SamplerEntry("NSGA-II, evolutionary (Optuna)", lambda seed: NSGAIISampler(seed=seed, population_size=NSGA2_POPULATION)),
    "gp": SamplerEntry("Gaussian process, seconds a suggestion (Optuna)", lambda seed: GPSampler(seed=seed)),
    "random": SamplerEntry("Independent random values (Optuna)", lambda seed: RandomSampler(seed=seed)),
}


def make_sampler(name: str, seed: int) -> BaseSampler:
    """Return a fresh sampler.

    Raises:
        UnknownNameError: There is no sampler of that name.
    """
    if name not in SAMPLERS:
        raise UnknownNameError("sampler", name, SAMPLERS)
    return SAMPLERS[name].make(seed)
