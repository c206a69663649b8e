"""Reads a search space from YAML. Every error names the file, the line, the rule and, for a name, the nearest known one."""

from collections.abc import Collection, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from yaml.nodes import MappingNode, Node, SequenceNode

from autopeft.errors import AutopeftError, InvalidInputError, UnknownNameError
from autopeft.space.definition import LayersDefinition, ModuleDefinition, RangeDefinition, SizeDefinition, SpaceDefinition
from autopeft.training_parameters import known

MAX_FILE_BYTES = 1_000_000
NO_YAML = (yaml.YAMLError, RecursionError, ValueError, TypeError, LookupError, AttributeError)
"""What reading a text comes to that is no YAML: what makes values of tags and dates raises what Python does."""
Lines = dict[tuple[str | int, ...], int]


def builtin_folder() -> Path:
    """Return the folder of the spaces that come with the package: inside it in a wheel, beside it in a source checkout."""
    installed = Path(str(resources.files("autopeft") / "search_spaces"))
    return installed if installed.is_dir() else Path(__file__).parents[2] / "search_spaces"


def builtin_names(under: str = "") -> list[str]:
    """Return the names of the spaces that come with the package, or of those in a folder of them, such as baselines/lora."""
    folder = builtin_folder() / under
    return sorted(path.relative_to(builtin_folder()).with_suffix("").as_posix() for path in folder.glob("*.yaml"))


def is_space_file(name_or_path: str) -> bool:
    """Return whether a space is meant as a user's own file, and not by the name of one that comes with the package."""
    return name_or_path.endswith((".yaml", ".yml"))


def read_space(name_or_path: str, methods: Collection[str]) -> SpaceDefinition:
    """Read a space that comes with the package by its name, or a user's own by its path.

    Args:
        name_or_path: "default", or a path that ends in .yaml or .yml.
        methods: Names of the PEFT methods that a module may use.

    Raises:
        InvalidInputError: The file is missing, too large, not YAML, or breaks a rule; the text names the line.
        UnknownNameError: There is no space of that name.
    """
    if not is_space_file(name_or_path):
        if name_or_path not in (*builtin_names(), *builtin_names("baselines")):
            raise UnknownNameError("search space (a name, or a path that ends in .yaml)", name_or_path, builtin_names())
        return parse_space((builtin_folder() / f"{name_or_path}.yaml").read_text(encoding="utf-8"), methods, source=name_or_path)
    return parse_space(_read_text(Path(name_or_path)), methods, source=name_or_path)


def parse_space(text: str, methods: Collection[str], source: str = "search space") -> SpaceDefinition:
    """Read a space from YAML text; arguments and errors as in `read_space`."""
    node = _compose(text, source)
    lines = dict(_lines(node, (), source))
    data = yaml.safe_load(text)
    if not isinstance(data, dict):
        raise InvalidInputError(f"{source}: a search space must be a mapping with the keys modules and training")
    try:
        definition = SpaceDefinition.model_validate(data)
    except ValidationError as error:
        raise _explain(error, lines, source) from None
    except RecursionError:
        raise InvalidInputError(f"{source}: the file is nested too deeply") from None
    for index, module in enumerate(definition.modules):
        for place, method in enumerate(module.method):
            if method not in methods:
                where = f"{source}, line {_line(lines, ('modules', index, 'method', place))}"
                raise InvalidInputError(f"{where}: {UnknownNameError('PEFT method', method, methods)}")
    for name, entry in definition.training.items():
        try:
            entry.check(known(name))
        except AutopeftError as error:
            raise InvalidInputError(f"{source}, line {_line(lines, ('training', name))}: {error}") from None
    return definition


def stored_space(content: Any, methods: Collection[str], source: str) -> SpaceDefinition:
    """Read a space from the JSON form in which a run keeps it; arguments and errors as in `read_space`."""
    return parse_space(yaml.safe_dump(content), methods, source=f"the run's own {source}")


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidInputError(f"{path}: a search space may have at most {MAX_FILE_BYTES:,} bytes", value=path.stat().st_size)
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        remedy = f"Give the path of a YAML file, or one of: {', '.join(builtin_names())}."
        raise InvalidInputError("the search space file does not exist", value=str(path), remedy=remedy) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} can't be read as text: {error}") from None


def _compose(text: str, source: str) -> Node:
    """Parse to nodes, which know their lines. Aliases are refused: they can blow a small file up to any size."""
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken):
                raise InvalidInputError(f"{source}, line {token.start_mark.line + 1}: anchors and aliases are not supported")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        yaml.safe_load(text)
    except InvalidInputError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise InvalidInputError(f"{source}{where}: not valid YAML: {error.problem or error.context}") from None
    except NO_YAML as error:
        raise InvalidInputError(f"{source}: not valid YAML: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from None
    if node is None:
        raise InvalidInputError(f"{source} is empty", remedy="A search space needs the keys modules and training.")
    return node


def _lines(node: Node, path: tuple[str | int, ...], source: str) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """Yield the line (from 1) of every path in the document; a key that stands twice is an error, as YAML would drop one."""
    yield path, node.start_mark.line + 1
    if isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                raise InvalidInputError(f"{source}, line {key.start_mark.line + 1}: the key {name!r} stands twice")
            seen.add(name)
            yield from _lines(value, (*path, name), source)
            yield (*path, name), key.start_mark.line + 1
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, (*path, index), source)


def _line(lines: Lines, path: tuple[str | int, ...]) -> int:
    """Return the line of the longest part of the path that the document has; pydantic's paths go on where ours end."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _explain(error: ValidationError, lines: Lines, source: str) -> InvalidInputError:
    # A misspelt key is reported as unknown and as missing; the first says more.
    first = min(error.errors(include_url=False), key=lambda entry: entry["type"] != "extra_forbidden")
    path = first["loc"]
    where = f"{source}, line {_line(lines, path)}"
    if first["type"] == "extra_forbidden":
        unknown = UnknownNameError("key", str(path[-1]), _known_keys(path[:-1]))
        return InvalidInputError(f"{where}: {unknown}")
    place = ".".join(str(part) for part in path) or "the file"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("missing", "value_error"):
        return InvalidInputError(f"{where}: {place}: {message}")
    return InvalidInputError(f"{where}: {place}: {message}", value=first["input"])


def _known_keys(path: tuple[str | int, ...]) -> list[str]:
    owner: type[BaseModel] = SpaceDefinition
    if path[:1] == ("modules",):
        owner = SizeDefinition if "size" in path else ModuleDefinition
    elif path[:1] == ("layers",):
        owner = LayersDefinition
    elif path[:1] == ("training",):
        owner = RangeDefinition
    return [*owner.model_fields]


def describe_builtins() -> dict[str, str]:
    """Return the description of every space that comes with the package, by name."""
    texts = {name: (builtin_folder() / f"{name}.yaml").read_text(encoding="utf-8") for name in builtin_names()}
    return {name: yaml.safe_load(text)["description"] for name, text in texts.items()}
