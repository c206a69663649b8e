"""README and docs say what is so: links resolve, commands parse, code compiles and names what exists, settings and spaces are read."""

import ast
import importlib
import inspect
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
import typer
import yaml

from tests.documentation.pages import GUIDES, PAGES, ROOT, Code, blocks, every, name, prose, words_of

MAX_README_LINES = 120

DIALECT = {
    r"\bdear(er|est|ly)?\b": "expensive, costly",
    r"\btold\b": "knows, is given, says",
    r"\bfor good\b": "at the full budget",
    r"\b(un)?luck(y|ier|iest|ily)?\b": "chance, seed noise, selection bias",
    r"\bforesight\b": "search problem",
    r"\bshel(f|ves)\b": "cache",
    r"\bquaint": "-",
}
"""Words that aren't the field's, and what to write instead."""


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make, as code hosts do."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links() -> list[tuple[Path, str]]:
    pattern = r"\]\(([^)\s]+)\)"
    return [(page, target) for page in PAGES for target in re.findall(pattern, re.sub(r"`[^`]*`", "", prose(page)))]


def test_there_is_something_to_check() -> None:
    assert len(PAGES) > 15
    assert len(links()) > 60
    assert len(COMMANDS) > 40
    assert len(every("python")) > 5
    assert len(every("yaml")) > 2


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_resolve(page: Path) -> None:
    for source, target in links():
        if source != page or target.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{target} does not exist"
        assert there.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(there), f"{name(there)} has no heading for #{anchor}"


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for page, target in links() if page == index}
    assert {page for page in (ROOT / "docs").glob("*.md") if page != index} <= linked


def test_the_site_shows_every_page() -> None:
    listed = re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert {page.name for page in (ROOT / "docs").glob("*.md")} <= set(listed)


# Commands


def inline_commands(page: Path) -> Iterator[list[str]]:
    """The commands that stand in a line of text, such as `autopeft show RUN`."""
    for span in re.findall(r"`(autopeft [^`]+)`", prose(page)):
        yield shlex.split(span)[1:]


def verbs() -> dict[str, Any]:
    from autopeft.cli.main import app

    found: Any = typer.main.get_command(app)
    return dict(found.commands)


def commands() -> list[tuple[str, list[str]]]:
    found = [(str(block), words) for block in every("bash") for words in words_of(block.text)]
    inline = [(name(page), words) for page in GUIDES for words in inline_commands(page)]
    return found + [(where, words) for where, words in inline if len(words) > 1 or words[0].startswith("-") or words[0] not in verbs()]


COMMANDS = commands()


@pytest.mark.parametrize("words", [pytest.param(words, id=f"{where}-{' '.join(words)}") for where, words in COMMANDS])
def test_commands_parse(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.yaml").write_text("trials: 8\n")
    if words[0].startswith("-"):
        assert words[0] in ("--help", "--version")
        return
    # A capital letter stands for a number that the reader fills in.
    arguments = ["0" if re.fullmatch(r"[A-Z]", word) else word for word in words[1:] if word != "--help"]
    context = verbs()[words[0]].make_context(words[0], arguments, resilient_parsing="--help" in words)
    if words[0] == "search" and context.params["resume"] is None:
        accept(context.params)


def accept(values: dict[str, Any]) -> None:
    """Make the request that a search would be: unknown samplers, kinds and amounts are errors."""
    from autopeft.request import SearchRequest

    known = set(inspect.signature(SearchRequest).parameters)
    given = {key: value for key, value in values.items() if key in known and value is not None}
    for key in ("text", "objectives", "start", "track"):
        given[key] = tuple(given[key].split(",")) if key in given else ()
    given["rungs"] = () if given["rungs"] == "none" else tuple(map(float, given["rungs"].split(",")))
    if "task" in given or "train" in given:
        SearchRequest(**given)


RAY_COMMANDS = [(str(block), words) for block in every("bash") for words in words_of(block.text, "ray")]


@pytest.mark.parametrize("words", [pytest.param(words, id=f"{where}-{' '.join(words)}") for where, words in RAY_COMMANDS])
def test_commands_of_ray_parse(words: list[str]) -> None:
    from ray.scripts.scripts import cli

    command = cli.commands[words[0]]
    if words[0] == "symmetric-run":  # it hands its flags on to ray start
        own = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= own
    else:
        command.make_context(words[0], words[1:])


def test_flags_in_the_text_exist() -> None:
    known = {option for command in verbs().values() for parameter in command.params for option in parameter.opts}
    known |= {"--help", "--version"}
    for page in GUIDES:
        for span in re.findall(r"`([^`]+)`", prose(page)):
            if span.startswith("--") or span.split()[0] in verbs():
                flags = {word for word in span.split() if word.startswith("--")}
                assert flags <= known, f"{name(page)}: {span}"


# Code


def own_imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "autopeft":
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.split(".")[0] == "autopeft")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "autopeft":
            yield "autopeft", node.attr


def calls(tree: ast.AST) -> Iterator[tuple[str, str, list[str]]]:
    """Calls of a name's attribute: the name, the attribute, and the keywords given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            yield node.func.value.id, node.func.attr, [keyword.arg for keyword in node.keywords if keyword.arg]


@pytest.mark.parametrize("block", every("python"), ids=str)
def test_python_compiles_and_names_what_exists(block: Code) -> None:
    tree = ast.parse(block.text)
    for module, attribute in own_imports(tree):
        found = importlib.import_module(module)
        assert not attribute or hasattr(found, attribute), f"{module} has no {attribute}"
    from autopeft import SearchResult
    from autopeft.loops.retrain import RetrainRequest
    from autopeft.request import SearchRequest

    extra = {"search": SearchRequest, "retrain": RetrainRequest, "baselines": RetrainRequest}
    for owner, attribute, keywords in calls(tree):
        if owner not in ("autopeft", "result"):
            continue
        function = getattr(SearchResult if owner == "result" else importlib.import_module("autopeft"), attribute)
        known = set(inspect.signature(function).parameters)
        known |= set(inspect.signature(extra[attribute]).parameters) if attribute in extra else set()
        assert set(keywords) <= known, f"{owner}.{attribute} takes no {set(keywords) - known}"


@pytest.mark.parametrize("block", every("yaml"), ids=str)
def test_yaml_is_read(block: Code, tmp_path: Path) -> None:
    if block.marker == "kubernetes":
        job = yaml.safe_load(block.text)
        [words] = words_of(job["spec"]["entrypoint"])
        accept(verbs()[words[0]].make_context(words[0], words[1:]).params)
        groups = [job["spec"]["rayClusterSpec"]["headGroupSpec"], *job["spec"]["rayClusterSpec"]["workerGroupSpecs"]]
        for pod in (group["template"]["spec"] for group in groups):
            mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}
    elif "modules" in yaml.safe_load(block.text):
        from autopeft.methods.registry import all_methods
        from autopeft.space.reader import parse_space

        names = [method.name for method in all_methods()]
        if block.marker.startswith("plugin: "):
            names += re.findall(r'name="(\w+)"', (ROOT / block.marker.removeprefix("plugin: ")).read_text(encoding="utf-8"))
        assert parse_space(block.text, names).modules
    else:
        file = tmp_path / "settings.yaml"
        file.write_text(block.text)
        accept(verbs()["search"].make_context("search", ["--config", str(file)]).params)


def shown_module(name: str, table: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a module that docs/contributing.md shows importable, and return the diff of the table that its entry stands in."""
    shown = list(blocks(ROOT / "docs" / "contributing.md"))
    block = next(block for block in shown if block.marker == f"module: {name}")
    module = ModuleType(name)
    exec(compile(block.text, str(block), "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, name, module)
    return next(block.text for block in shown if block.language == "diff" and table in block.text)


def test_the_example_of_a_method_with_a_hook_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from autopeft.configuration import Configuration, PeftModule
    from autopeft.methods import catalogue, registry
    from autopeft.methods.compose import apply
    from autopeft.training.hooks import TrainingHooks

    diff = shown_module("autopeft.methods.output_bias", "methods/catalogue.py", monkeypatch)
    assert "\nMETHODS = (\n" in Path(catalogue.__file__).read_text(encoding="utf-8")
    [method] = eval("(" + "\n".join(line[1:] for line in diff.splitlines() if re.match(r"\+ ", line)) + ")", dict(vars(catalogue)))
    monkeypatch.setattr(registry, "_METHODS", {**registry._METHODS, method.name: method})
    model = BertForSequenceClassification(
        BertConfig(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8, vocab_size=10)
    )
    batch = {"input_ids": torch.ones(2, 4, dtype=torch.long)}
    applied = apply(model, Configuration((PeftModule(method.name, 1, (1,)),)), batch)  # it checks the count
    try:
        _, own = TrainingHooks(applied).parameter_groups(0.0)
    finally:
        applied.eject()
    assert [tuple(one.shape) for one in own["params"]] == [(8,)]
    assert own["learning_rate_factor"] == 10.0


def test_the_example_of_an_export_target_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_run: Any) -> None:
    """What docs/contributing.md shows: one module, and the line of its diff."""
    from autopeft.errors import UnsupportedError
    from autopeft.export import registry
    from autopeft.export.writing import export_trial

    diff = shown_module("autopeft.export.summary", "export/registry.py", monkeypatch)
    added = [line[1:] for line in diff.splitlines() if re.match(r"\+ ", line)]
    assert len(added) == 1
    [entry] = eval("{" + added[0] + "}", {"Target": registry.Target}).items()
    monkeypatch.setitem(registry.TARGETS, *entry)  # type: ignore[arg-type]
    for line in diff.splitlines():
        if line.startswith(" "):
            assert line[1:] in Path(registry.__file__).read_text(encoding="utf-8")
    with pytest.raises(UnsupportedError, match="what the modules learned"):
        export_trial(small_run, 0, entry[0], tmp_path / "refused")
    folder = export_trial(small_run, 0, entry[0], tmp_path / "lossy", lossy=True)
    assert "learning rate" in (folder / "summary.txt").read_text(encoding="utf-8")


def test_the_example_of_an_objective_is_one(small_request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autopeft import objectives
    from autopeft.api import SilentSearch
    from autopeft.loops.search import search
    from autopeft.study.reader import StudyReader

    page = ROOT / "docs" / "contributing.md"
    diff = next(block.text for block in blocks(page) if block.language == "diff" and "autopeft/objectives.py" in block.text)
    for line in diff.splitlines():
        if re.match(r"[ -](?!--)", line):
            assert f"{line[1:]}\n" in Path(objectives.__file__).read_text(encoding="utf-8")
    names = dict(vars(objectives))
    exec("\n".join(line[1:] for line in diff.splitlines() if re.match(r"\+(?!\+\+)", line)), names)
    monkeypatch.setitem(objectives.COSTS, "cpu_seconds", names["COSTS"]["cpu_seconds"])
    asked = replace(small_request, objectives=("accuracy", "cpu_seconds"), trials=1, out=str(tmp_path / "run"))
    [record] = StudyReader.open(search(asked, SilentSearch())).records()
    assert record.values["cpu_seconds"] > 0


def test_the_toy_family_works_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autopeft.tasks import families, family_of, load_files

    diff = shown_module("autopeft.tasks.families.ordinal", "tasks/families", monkeypatch)
    [added] = [line[1:] for line in diff.splitlines() if re.match(r"\+ ", line)]
    monkeypatch.setattr(families, "_FAMILIES", {**families._FAMILIES, **eval("{" + added + "}")})
    for line in diff.splitlines():
        if line.startswith(" "):
            assert line[1:] in Path(families.__file__).read_text(encoding="utf-8")
    (tmp_path / "stars.csv").write_text("text,stars\n" + "good,5\nbad,1\nfair,3\n" * 20)
    data = load_files(tmp_path / "stars.csv", label="stars", kind="ordinal")
    family = family_of(data.task)
    assert family.metrics["mean_distance"].direction == "minimize"
    assert data.trivial_scores()["mean_distance"] == pytest.approx(2 / 3, abs=0.1)  # three stars for all
    assert family.rank({"mean_distance": 0.5, "loss": 1.0}) > family.rank({"mean_distance": 1.0, "loss": 0.5})


def test_numbers_of_methods_are_right() -> None:
    from autopeft.methods.registry import all_methods

    for page in (ROOT / "README.md", ROOT / "docs" / "comparison.md"):
        stated = re.findall(r"\b(\d+) (?:PEFT )?methods", page.read_text(encoding="utf-8"))
        assert stated, name(page)
        assert set(map(int, stated)) == {len(all_methods())}


# Words and form


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name)
def test_words_are_the_fields(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for pattern, better in DIALECT.items():
        found = re.search(pattern, text, re.IGNORECASE)
        assert not found, f"line {text.count(chr(10), 0, found.start()) + 1}: {found[0]!r}; write: {better}"


@pytest.mark.parametrize("room", sorted({path.relative_to(ROOT / "autopeft").parts[0] for path in (ROOT / "autopeft").rglob("*.py")}))
def test_words_of_the_code_are_the_fields(room: str) -> None:
    place = ROOT / "autopeft" / room
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.suffix in (".py", ".txt", ".md")]
    # The demo task's sentences are English, and one of them is about telling a lie.
    for path in (path for path in files if "demo" not in path.parts):
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for pattern, better in DIALECT.items():
                assert not (found := re.search(pattern, text, re.IGNORECASE)), f"{name(path)}:{line}: {found[0]!r}; write: {better}"


def test_readme_is_the_first_ten_minutes() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_README_LINES
    beginning = "\n".join(lines[:10])
    assert "It can**" in beginning
    assert "It can't**" in beginning
    assert any(re.match(r"!\[.+\]\(docs/\w+\.svg\)", line) for line in lines[:20])


def test_readme_has_the_two_commands_of_a_fresh_machine() -> None:
    marked = {
        block.marker.removeprefix("fresh-machine: "): block.text
        for block in blocks(ROOT / "README.md")
        if block.marker.startswith("fresh-machine: ")
    }
    assert marked == {
        "run": "pip install -c .ci/constraints.txt -e '.[demo]' && autopeft search --task demo --trials 12\n",
        "test": "pip install -c .ci/constraints.txt -e '.[demo,dev]' && ruff check . && ruff format --check . && mypy && pytest -n 2\n",
    }


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").glob("*.svg")), ids=name)
def test_pictures_stand_alone(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert "prefers-color-scheme: dark" in text, "it must be readable on a dark page too"
    assert not re.search(r"""(href|src)=["'](?!#)|url\((?!#)|<script""", text), "nothing may be loaded from elsewhere"


def test_the_picture_of_the_rooms_names_them_all() -> None:
    from tests.test_architecture import TIERS

    picture = next(block.text for block in blocks(ROOT / "docs" / "architecture.md") if block.language == "text")
    drawn = {int(line.split()[0]): set(line.split()) for line in picture.splitlines() if re.match(r" *\d+ ", line)}
    assert set(drawn) == set(range(len(TIERS)))
    for tier, rooms in enumerate(TIERS):
        assert rooms <= drawn[tier], f"tier {tier} of the picture lacks {rooms - drawn[tier]}"
