"""Samplers by name. Each entry makes an Optuna sampler from a seed and what is known of the search space."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from autopeft.errors import UnavailableError, UnknownNameError
from autopeft.samplers.partial import ReadEarly, nothing_early
from autopeft.samplers.view import SpaceHints

NSGA2_POPULATION = 16
"""A search of some 64 trials sees four generations; Optuna's default of 50 would see one."""


@dataclass(frozen=True)
class Knowledge:
    """What a search knows of its space before any trial; a sampler takes of it what it can use."""

    distributions: Mapping[str, BaseDistribution] = field(default_factory=dict)
    """The space of every trial."""
    known: Mapping[int, Callable[[dict[str, Any]], float]] = field(default_factory=dict)
    """By objective index, the function from a trial's parameters to its value, NaN if it has none."""
    hints: SpaceHints = field(default_factory=SpaceHints)
    reference: Mapping[int, float] = field(default_factory=dict)
    """By objective index, the value from which on a point is worth nothing."""
    read_early: ReadEarly = nothing_early
    """A trial's measurements before its end."""


@dataclass(frozen=True)
class SamplerEntry:
    """One sampler of the table."""

    summary: str
    make: Callable[[int, Knowledge], BaseSampler]
    """Makes a fresh sampler from a seed and what is known."""
    packages: tuple[str, ...] = ()
    """What it needs that is not always installed; there is an extra of the sampler's name."""


def _autopeft(seed: int, knowledge: Knowledge) -> BaseSampler:
    from autopeft.samplers.bayesian import BayesianSampler  # torch is needed by this one alone

    given = {name: getattr(knowledge, name) for name in ("distributions", "hints", "reference", "read_early")}
    return BayesianSampler(knowledge.known, seed, **given)


def _saasbo(seed: int, knowledge: Knowledge) -> BaseSampler:
    from autopeft.samplers.bayesian import BayesianSampler

    hints = replace(knowledge.hints, features=None, flags=())  # what the reference's search doesn't know
    given = {name: getattr(knowledge, name) for name in ("distributions", "reference", "read_early")}
    return BayesianSampler(knowledge.known, seed, hints=hints, surrogate="saas", **given)


SAMPLERS: dict[str, SamplerEntry] = {
    "autopeft": SamplerEntry("Bayesian, knows the space and what a configuration costs (ours)", _autopeft),
    "saasbo": SamplerEntry("Fully Bayesian with sparse priors, as AutoPEFT's; ten seconds a suggestion", _saasbo, ("numpyro", "jax")),
    "tpe": SamplerEntry("Tree-structured Parzen estimator (Optuna)", lambda seed, _: TPESampler(seed=seed, constant_liar=True)),
    "nsga2": SamplerEntry("NSGA-II, evolutionary (Optuna)", lambda seed, _: NSGAIISampler(seed=seed, population_size=NSGA2_POPULATION)),
    "gp": SamplerEntry("Gaussian process, seconds a suggestion (Optuna)", lambda seed, _: GPSampler(seed=seed)),
    "random": SamplerEntry("Independent random values (Optuna)", lambda seed, _: RandomSampler(seed=seed)),
}


def require_sampler(name: str) -> None:
    """Check that there is a sampler and what it needs, without making it.

    Raises:
        UnknownNameError: There is none of that name.
        UnavailableError: It needs a package that is not installed.
    """
    if name not in SAMPLERS:
        raise UnknownNameError("sampler", name, SAMPLERS)
    if missing := [package for package in SAMPLERS[name].packages if find_spec(package) is None]:
        raise UnavailableError(f"the sampler {name} needs {missing[0]}", remedy=f'Install it: pip install "autopeft[{name}]".')


def make_sampler(name: str, seed: int, knowledge: Knowledge | None = None) -> BaseSampler:
    """Return a fresh sampler.

    Args:
        name: One of the table.
        seed: Seeds its proposals.
        knowledge: What is known of the space; without it, what a study's record tells.

    Raises:
        UnknownNameError: There is no sampler of that name.
        UnavailableError: It needs a package that is not installed.
    """
    require_sampler(name)
    return SAMPLERS[name].make(seed, knowledge or Knowledge())
