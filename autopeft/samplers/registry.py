"""Samplers by name. Each entry makes an Optuna sampler from a seed and the search problem."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Literal

from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from autopeft.errors import UnavailableError, UnknownNameError
from autopeft.samplers.partial import ReadEarly, nothing_early
from autopeft.samplers.problem import SearchProblem

NSGA2_POPULATION = 16
"""A search of some 64 trials sees four generations; Optuna's default of 50 would see one."""


@dataclass(frozen=True)
class SamplerEntry:
    """One sampler of the table."""

    summary: str
    make: Callable[[int, SearchProblem | None, ReadEarly], BaseSampler]
    """Makes a fresh sampler from a seed, the problem if there is more to it than a study's record, and how to read early measurements."""
    packages: tuple[str, ...] = ()
    """What it needs that is not always installed; there is an extra of the sampler's name."""


def _autopeft(seed: int, problem: SearchProblem | None, read_early: ReadEarly, surrogate: Literal["map", "saas"] = "map") -> BaseSampler:
    from autopeft.samplers.bayesian import BayesianSampler  # torch is needed by this one alone

    return BayesianSampler(seed=seed, problem=problem, read_early=read_early, surrogate=surrogate)


SAMPLERS: dict[str, SamplerEntry] = {
    "autopeft": SamplerEntry("Bayesian, knows the space and what a configuration costs (ours)", _autopeft),
    "saasbo": SamplerEntry(
        "Fully Bayesian with sparse priors, as AutoPEFT's; ten seconds a suggestion",
        partial(_autopeft, surrogate="saas"),
        ("numpyro", "jax"),
    ),
    "tpe": SamplerEntry("Tree-structured Parzen estimator (Optuna)", lambda seed, *_: TPESampler(seed=seed, constant_liar=True)),
    "nsga2": SamplerEntry("NSGA-II, evolutionary (Optuna)", lambda seed, *_: NSGAIISampler(seed=seed, population_size=NSGA2_POPULATION)),
    "gp": SamplerEntry("Gaussian process, seconds a suggestion (Optuna)", lambda seed, *_: GPSampler(seed=seed)),
    "random": SamplerEntry("Independent random values (Optuna)", lambda seed, *_: RandomSampler(seed=seed)),
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


def make_sampler(name: str, seed: int, problem: SearchProblem | None = None, read_early: ReadEarly = nothing_early) -> BaseSampler:
    """Return a fresh sampler.

    Args:
        name: One of the table.
        seed: Seeds its proposals.
        problem: What is known of points without trying them; without it, what a study's record says.
        read_early: A trial's measurements before its end.

    Raises:
        UnknownNameError: There is no sampler of that name.
        UnavailableError: It needs a package that is not installed.
    """
    require_sampler(name)
    return SAMPLERS[name].make(seed, problem, read_early)
