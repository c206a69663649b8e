"""A user's own Python files, which register methods and tasks: imported in the driver and in every worker."""

import hashlib
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from autopeft.errors import InvalidInputError

_imported: dict[str, str] = {}
"""Sums of what ran in this process, by module."""


def import_plugin(path: str) -> None:
    """Run a Python file as a module, once in a process; a copy of one that ran, such as an export has, is that one.

    Args:
        path: The file; it runs with all rights of this process, so it must be one that the user named.

    Raises:
        InvalidInputError: The file is missing or not Python, raises an error, or has changed since it ran.
    """
    file = Path(path).expanduser().resolve()
    name = f"autopeft_plugin:{file}"
    content = plugin_sum(path)
    if name in sys.modules:
        if _imported.get(name, content) != content:  # what it registered can't be taken back
            remedy = "Start Python anew."
            raise InvalidInputError("a plugin that has changed since it was imported can't be imported again", value=path, remedy=remedy)
        return
    if any(one in sys.modules and sum_ == content for one, sum_ in _imported.items()):
        return
    spec = spec_from_file_location(name, file)
    assert spec is not None, "it is a Python file"
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a script that ends itself would end the search without a word
        del sys.modules[name]
        raise InvalidInputError(f"the plugin {path} raised {type(error).__name__}: {error}") from error
    _imported[name] = content


def plugin_sum(path: str) -> str:
    """Return what is another one for a plugin of other content.

    Raises:
        InvalidInputError: The file is missing or not Python.
    """
    file = Path(path).expanduser().resolve()
    if file.suffix != ".py" or not file.is_file():
        raise InvalidInputError("a plugin must be an existing Python file", value=path)
    return hashlib.sha256(file.read_bytes()).hexdigest()
