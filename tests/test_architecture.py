"""The rooms of the house: who may import whom, and which room alone may import which library."""

import ast
import json
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.programs import run_fresh

PACKAGE = Path(__file__).parents[1] / "autopeft"

TIERS: list[set[str]] = [
    {"errors", "words"},
    {"training_parameters"},
    {
        "configuration",
        "objectives",
        "amounts",
        "budget",
        "costs",
        "forms",
        "inference",
        "pareto",
        "provenance",
        "hub",
        "paths",
        "plugins",
        "machine",
    },
    {"space"},
    {"methods", "tasks", "surrogates"},
    {"samplers", "rungs", "training", "portfolio"},
    {"study", "executors", "request"},
    {"trackers"},
    {"loops"},
    {"report", "export"},
    {"cli", "api", "ray_tune"},
    {"__main__"},
]
"""From the ground up. A room imports only from lower tiers; rooms of one tier don't know each other."""
TIER = {room: tier for tier, rooms in enumerate(TIERS) for room in rooms}
OWNERS = {
    "pydantic": {"space", "request"},
    "yaml": {"space", "portfolio", "cli", "export"},
    "peft": {"methods", "export"},
    "datasets": {"tasks"},
    "botorch": {"surrogates"},
    "gpytorch": {"surrogates"},
    "joblib": {"machine"},
    "optuna": {"samplers", "study", "ray_tune"},
    "scipy": {"inference", "surrogates", "tasks"},
    "sqlalchemy": {"study"},
    "filelock": {"study"},
    "transformers": {"methods", "training", "export"},
    "onnxruntime": {"export"},
    "ray": {"executors", "ray_tune"},
    "plotly": {"report", "api"},
    "matplotlib": {"report"},
    "tensorboard": {"trackers"},
    "wandb": {"trackers"},
    "mlflow": {"trackers"},
    "trackio": {"trackers"},
    "typer": {"cli"},
    "rich": {"cli", "report"},
    "huggingface_hub": {"hub", "tasks", "training"},
    "pyarrow": {"tasks"},
    "sacrebleu": {"tasks"},
    "pandas": {"api"},
}


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


@cache
def imports(path: Path, *, runtime_only: bool = False) -> tuple[str, ...]:
    return tuple(_imports(path, runtime_only))


def _imports(path: Path, runtime_only: bool) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if runtime_only and id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from names if node.module == "autopeft" else [node.module]


def modules() -> dict[str, Path]:
    """Return every file by its module's name."""
    return {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path for path in files()}


def at_module_level(path: Path) -> Iterator[str]:
    """Yield what is imported when the module is, and not only when a function of it runs."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield str(node.module)
            elif not isinstance(node, ast.FunctionDef) and not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
                waiting.append(node)


def test_every_room_has_a_tier() -> None:
    assert {room(path) for path in files()} - {"__init__"} <= TIER.keys()


def test_imports_point_down() -> None:
    wrong = []
    for path in files():
        here = room(path)
        for name in imports(path):
            parts = name.split(".")
            if parts[0] != "autopeft" or here == "__init__":
                continue
            there = parts[1] if len(parts) > 1 else "__init__"
            if there in (here, "__version__", "__init__"):
                continue
            if TIER[there] >= TIER[here]:
                wrong.append(f"{path}: {here} (tier {TIER[here]}) may not import {there} (tier {TIER[there]})")
    assert not wrong


def test_libraries_stay_in_their_room() -> None:
    owned = [(path, name, OWNERS[name.split(".")[0]]) for path in files() for name in imports(path) if name.split(".")[0] in OWNERS]
    assert not [f"{path}: {name} belongs to {sorted(owners)}" for path, name, owners in owned if room(path) not in owners]


def test_no_import_cycle() -> None:
    known = modules()
    graph = {name: {other for other in imports(path, runtime_only=True) if other in known} - {name} for name, path in known.items()}
    graph["autopeft"] = set()  # its public names are resolved on use
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


def test_who_has_workers_train_loads_no_models() -> None:
    """transformers takes seconds to import: the process that plans a search and asks its sampler must not wait for it once more."""
    known = modules()
    asked = {name for place in ("loops.planning", "loops.search", "samplers.registry") for name in imports(known[f"autopeft.{place}"])}
    waiting, seen = list(asked & known.keys()), dict[str, set[str]]()
    while waiting:
        if (name := waiting.pop()) not in seen:
            seen[name] = set(at_module_level(known[name]))
            waiting += seen[name] & known.keys()
    assert {"autopeft.training.recipes.start", "autopeft.samplers.proposal"} <= seen.keys()
    slow = ("transformers.", "peft.", "ray.", "datasets.", "scipy.stats.")
    assert not [f"{name} imports {one}" for name, found in seen.items() for one in found if f"{one}.".startswith(slow)]


LIGHT = [
    *("--help", "search --help", "report --help", "watch --help", "retrain --help", "baselines --help"),
    *("list tasks", "list methods", "list spaces", "show RUN", "show RUN --format json", "show nowhere"),
]
"""Command lines that answer without loading what trains or searches; RUN is a small run."""
MISTAKEN = [
    *("search --task demp", "search --task demo --space nowhere", "predict nowhere --trial best --input new.csv"),
    *("export RUN --trial 99 --to script", "export RUN --pick bset --to script", "predict RUN --trial 99 --input new.csv"),
]
"""What is wrong with these shows before anything is loaded that trains."""
SEARCHING = {"optuna", "sqlalchemy"}
RUN_ALL = """
import contextlib, io, json, sys
from autopeft.cli.main import main
found = {}
for words in sys.argv[1:]:
    sys.argv = ["autopeft", *words.split()]
    code, printed = 0, io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            main()
        except SystemExit as end:
            code = end.code
    heavy = {"torch", "transformers", "peft", "ray", "datasets", "plotly", "matplotlib", "optuna", "sqlalchemy"} & set(sys.modules)
    found[words] = (code or 0, printed.getvalue(), sorted(heavy))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def light_verbs(_finished_run: Path) -> dict[str, tuple[int, str, list[str]]]:
    """By command line, run one after another in one interpreter: its exit code, what it printed, and heavy libraries loaded until then."""
    lines = [*LIGHT, *MISTAKEN]
    answer = run_fresh("-c", RUN_ALL, *(words.replace("RUN", str(_finished_run)) for words in lines))
    assert answer.code == 0, answer.err
    found: dict[str, tuple[int, str, list[str]]] = json.loads(answer.out)
    return dict(zip(lines, found.values(), strict=True))


@pytest.mark.parametrize("words", [*LIGHT, *MISTAKEN])
def test_light_verbs_import_nothing_heavy(words: str, light_verbs: dict[str, tuple[int, str, list[str]]]) -> None:
    code, printed, heavy = light_verbs[words]
    assert code == (2 if words in MISTAKEN or "nowhere" in words else 0), printed
    assert printed
    assert set(heavy) <= (SEARCHING if words in MISTAKEN else set())
