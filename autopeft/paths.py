"""Paths that mean the same from every folder, and commands that may be pasted into a shell."""

import os
import shlex
from pathlib import Path

StrPath = str | os.PathLike[str]


def absolute(path: StrPath) -> str:
    """Return a path from the root, with ~ filled in.

    A link at its end stays a link: the file that it leads to may have another name, even another suffix, as in the hub's cache.
    """
    full = Path(os.path.expanduser(path)).absolute()
    return str(full.parent.resolve() / full.name) if ".." in full.parts else str(full)


def is_folder(model: str) -> bool:
    """Return whether a model's name is a folder's, there or not, and no hub id."""
    return model.startswith((".", "/", "~")) or Path(model).exists()


def absolute_model(model: str) -> str:
    """Return a hub id as it is, and a folder's path from the root."""
    return absolute(model) if is_folder(model) else model


def command(*words: object) -> str:
    """Return a command of autopeft's as a shell takes it, such as autopeft search --resume 'runs/my run'.

    A path is given as one: its name may begin as a flag does.
    """
    return shlex.join(["autopeft", *(f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word) for word in words)])
