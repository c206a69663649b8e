"""Values that a shell completes; what knows them is imported when one is asked for."""

from collections.abc import Callable, Iterable
from importlib import import_module


def tasks(incomplete: str) -> list[str]:
    """Complete the name of a task."""
    from autopeft.tasks import task_names

    return _starting(incomplete, task_names())


def kinds(incomplete: str) -> list[str]:
    """Complete a kind of task."""
    from autopeft.tasks import family_names

    return _starting(incomplete, family_names())


def spaces(incomplete: str) -> list[str]:
    """Complete the name of a search space; a path is completed by the shell itself."""
    from autopeft.space.reader import builtin_names

    return _starting(incomplete, builtin_names())


def samplers(incomplete: str) -> list[str]:
    """Complete the name of a sampler."""
    from autopeft.samplers.registry import SAMPLERS

    return _starting(incomplete, SAMPLERS)


def targets(incomplete: str) -> list[str]:
    """Complete the name of a target of exports."""
    from autopeft.export.registry import TARGETS

    return _starting(incomplete, TARGETS)


def picks(incomplete: str) -> list[str]:
    """Complete a wish that chooses a trial."""
    return _starting(incomplete, ("best", "knee", "max-params="))


def names_in(module: str, collection: str) -> Callable[[str], list[str]]:
    """Return what completes one of the names that a module's constant holds."""

    def complete(incomplete: str) -> list[str]:
        return _starting(incomplete, getattr(import_module(module), collection))

    return complete


def _starting(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
