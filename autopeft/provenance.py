"""With what a run was made."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("autopeft", "torch", "transformers", "peft", "optuna", "ray", "datasets", "numpy")


def versions() -> dict[str, str]:
    """Return the version of Python and of every package that decides a result; what is not installed is left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
