"""Benchmarks run in this interpreter, as small as they go."""

import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import optuna
import pytest

from autopeft.tasks.demo import generation
from tests.programs import Answer, run_script_here

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

Benchmark = Callable[..., Answer]


@pytest.fixture(scope="package", autouse=True)
def _small() -> Iterator[None]:
    """Make the benchmarks' modules importable, and what they work on small: few pairs, small forests, one plan of a search for all."""
    verbosity = optuna.logging.get_verbosity()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        patch.setattr(generation, "SIZES", {"train": 40, "validation": 24, "test": 24})
        from problems import tabulated

        for name, value in {"N_TREES": 40, "N_FOLDS": 4, "N_DRAWN": 300, "N_ROUNDS": 3, "N_MUTATED": 200}.items():
            assert getattr(tabulated, name) > value
            patch.setattr(tabulated, name, value)
        patch.setattr(tabulated, "plan", cache(tabulated.plan))
        yield
    optuna.logging.set_verbosity(verbosity)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("problems", "curves", "seeds")]:
        del sys.modules[name]


@pytest.fixture
def run_benchmark() -> Benchmark:
    """Run one by its name and return what it left behind."""
    return lambda name, *arguments: run_script_here(BENCHMARKS / f"{name}.py", *arguments)
