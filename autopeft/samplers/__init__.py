"""What proposes configurations."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autopeft.samplers.bayesian import BayesianSampler
    from autopeft.samplers.problem import SearchProblem

# Where each public name lives. They are imported on use: who wants the names of the samplers must not wait for torch.
_PUBLIC = {"BayesianSampler": "autopeft.samplers.bayesian", "SearchProblem": "autopeft.samplers.problem"}

__all__ = ["BayesianSampler", "SearchProblem"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'autopeft.samplers' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
