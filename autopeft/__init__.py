"""autopeft finds the parameter-efficient fine-tuning configuration for your model, your data and your budget.

import autopeft

result = autopeft.search(task="demo", trials=12)
result.export(result.best().number, to="script")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from autopeft.api import SearchResult, resume, search
    from autopeft.configuration import Configuration, PeftModule
    from autopeft.export.predictor import load_predictor
    from autopeft.methods.checkpoint import load
    from autopeft.methods.compose import apply
    from autopeft.methods.registry import register_method
    from autopeft.space.space import SearchSpace
    from autopeft.tasks import register_task, register_text_metric
    from autopeft.trackers.callback import Callback

# Where each public name lives. They are imported on use: `import autopeft` and the light verbs must not wait for torch.
_PUBLIC = {
    "Callback": "autopeft.trackers.callback",
    "Configuration": "autopeft.configuration",
    "PeftModule": "autopeft.configuration",
    "SearchResult": "autopeft.api",
    "SearchSpace": "autopeft.space.space",
    "apply": "autopeft.methods.compose",
    "load": "autopeft.methods.checkpoint",
    "load_predictor": "autopeft.export.predictor",
    "register_method": "autopeft.methods.registry",
    "register_task": "autopeft.tasks",
    "register_text_metric": "autopeft.tasks",
    "resume": "autopeft.api",
    "search": "autopeft.api",
}

__all__ = [
    "Callback",
    "Configuration",
    "PeftModule",
    "SearchResult",
    "SearchSpace",
    "apply",
    "load",
    "load_predictor",
    "register_method",
    "register_task",
    "register_text_metric",
    "resume",
    "search",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'autopeft' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
