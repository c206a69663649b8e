"""Where and with what a run was made."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

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


def hardware() -> dict[str, Any]:
    """Return what the driver runs on."""
    return {"platform": platform.platform(), "processor": platform.machine(), "n_cores": os.cpu_count()}
