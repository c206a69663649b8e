"""Python files that a model brings along: transformers would run them to build the model, its configuration or its tokenizer.

A configuration names them under `auto_map`. The classes may share a name with classes that transformers has built in and still
compute something else, so they are neither run nor replaced unasked.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autopeft.errors import InvalidInputError

CONFIGURATIONS = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json")
"""The files in which a model can name code."""


@dataclass(frozen=True)
class CodeReference:
    """One class that a configuration names."""

    configuration: Path
    """The file that names it."""
    repository: str
    """Hub id of the repository that holds the code; empty where it lies beside the configuration."""
    file: str
    """Name of the Python file, such as modeling_tiny.py."""

    def __str__(self) -> str:
        return f"{self.repository}/{self.file}" if self.repository else self.file


def code_references(folder: Path) -> list[CodeReference]:
    """Return every class that the configurations of a model's folder name under `auto_map`."""
    return [
        CodeReference(folder / name, *_split(reference))
        for name in CONFIGURATIONS
        for reference in _strings(_read(folder / name).get("auto_map"))
    ]


def code_files(folder: Path) -> list[Path]:
    """Return the Python files of a folder that names code; empty of one that names none."""
    return sorted(folder.glob("*.py")) if code_references(folder) else []


def refuse_code(model: str, folder: Path) -> None:
    """Check that a model needs no code of its own.

    Args:
        model: What the user calls it.
        folder: Where its configurations are.

    Raises:
        InvalidInputError: It names some.
    """
    references = code_references(folder)
    if references:
        files = ", ".join(sorted({str(reference) for reference in references}))
        raise InvalidInputError(
            f"the model {model} brings Python code along, which isn't run unasked: {references[0].configuration} names {files} as auto_map",
            remedy=(
                "Read that code; --trust-remote-code (from Python trust_remote_code=True) runs it with all your rights, in every worker "
                "and export. If transformers has the same model built in, remove auto_map from the file instead."
            ),
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # a damaged one is for the loader to report
        return {}
    return data if isinstance(data, dict) else {}


def _strings(value: object) -> Iterator[str]:
    """Yield the references of an `auto_map`: strings, or of tokenizers a slow and a fast one, either of which may be null."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def _split(reference: str) -> tuple[str, str]:
    """Split "owner/name--module.Class" into the repository and the file."""
    repository, dashes, rest = reference.rpartition("--")
    return (repository if dashes else ""), f"{rest.partition('.')[0]}.py"
