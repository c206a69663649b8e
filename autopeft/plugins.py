"""A user's own Python files, which register methods and tasks: imported in the driver and in every worker."""

import hashlib
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from autopeft.errors import InvalidInputError

_imported: set[str] = set()
"""Sums of what ran in this process."""


def import_plugin(path: str) -> None:
    """Run a Python file as a module, once in a process; a copy of one that ran, such as an export has, is that one.

    Args:
        path: The file; it runs with all rights of this process, so it must be one that the user named.

    Raises:
        InvalidInputError: The file is missing or not Python, or raises an error.
    """
    file = Path(path).expanduser().resolve()
    name = f"autopeft_plugin:{file}"
    if name in sys.modules:
        return
    spec = spec_from_file_location(name, file) if file.suffix == ".py" and file.is_file() else None
    if spec is None or spec.loader is None:
        raise InvalidInputError("a plugin must be an existing Python file", value=path)
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    if content in _imported:
        return
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a script that ends itself would end the search without a word
        del sys.modules[name]
        raise InvalidInputError(f"the plugin {path} raised {type(error).__name__}: {error}") from error
    _imported.add(content)
