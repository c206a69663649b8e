"""Whatever a file holds, reading it gives what it says or an error of ours: no other exception, and soon."""

import copy
import io
import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autopeft.api import SearchResult, SilentSearch
from autopeft.cli.show import show
from autopeft.configuration import Configuration
from autopeft.errors import AutopeftError
from autopeft.export.finished_trial import read_retrained
from autopeft.export.predictor import load_predictor
from autopeft.loops.planning import _traits
from autopeft.loops.search import search
from autopeft.methods.registry import all_methods
from autopeft.report.comparison import compare_runs
from autopeft.report.content import gather
from autopeft.report.writing import write
from autopeft.request import SearchRequest, as_loaded
from autopeft.space.reader import builtin_folder, parse_space
from autopeft.study import confirmed
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.tasks.files import load_files
from tests.conftest import write_pairs

pytestmark = pytest.mark.faults

N_CASES = 1000
METHODS = {method.name: _traits(method) for method in all_methods()}
SPACES = sorted(path.read_text() for path in builtin_folder().rglob("*.yaml"))
SCALARS = ["", "null", "-1", "0", "1e999", ".nan", "true", "[]", "{}", "[[]]", "'", '"', ":", "- ", "&a *a", "!!python/object:os.system x"]
SCALARS += [
    "9" * 400,
    "ä\u2028\ud7ff",
    "\t",
    "# ",
    "? ",
    "|",
    "lora",
    "prefix",
    "size",
    "layers",
    "<script>",
    "../../../etc/passwd",
    "0x1F",
    "1_0",
    "~",
]

cases = settings(
    max_examples=N_CASES, deadline=5000, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
fewer_cases = settings(cases, max_examples=N_CASES // 2)
"""Of what opens a database."""


def edited(text: str, rng: random.Random) -> str:
    """Return a text with a few spans dropped, doubled, swapped, or replaced by what parsers stumble over."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice([0, 1, 3, 10, 40]))
        span = text[start:end]
        text = text[:start] + rng.choice(["", span * 2, span[::-1], rng.choice(SCALARS), rng.choice(SCALARS) + span]) + text[end:]
    return text


def edits(*texts: str) -> st.SearchStrategy[str]:
    """Draw an edited one of some texts."""
    return st.builds(lambda text, seed: edited(text, random.Random(seed)), st.sampled_from(texts), st.integers(0, 2**32))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["lora", "prefix", "query"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["method", "size", "layers", "targets", "options", "x"]), inner)
    ),
    max_leaves=8,
)


@cases
@given(edits(*SPACES) | st.text(max_size=200))
def test_space(text: str) -> None:
    with suppress(AutopeftError):
        definition = parse_space(text, list(METHODS))
        definition.bind("space", n_layers=4, hidden_size=32, traits=METHODS)


EXAMPLE = {
    "modules": [
        {"method": "lora", "size": 4, "layers": [0, 2], "targets": ["query", "value"], "options": {"alpha": 8}},
        {"method": "prefix", "size": 2, "layers": [1]},
    ],
    "training": {"learning_rate": 1e-3},
}


@cases
@given(
    edits(json.dumps(EXAMPLE))
    | st.builds(json.dumps, st.fixed_dictionaries({"modules": values, "training": values}))
    | st.text(max_size=50)
)
def test_configuration(text: str) -> None:
    with suppress(AutopeftError):
        Configuration.from_json(text)


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The same forty rows in every format, by suffix."""
    table = pd.read_csv(write_pairs(tmp_path_factory.mktemp("table") / "table.csv", 40, 3))
    return {
        ".csv": table.to_csv(index=False).encode(),
        ".tsv": table.to_csv(index=False, sep="\t").encode(),
        ".json": table.to_json(orient="records").encode(),
        ".jsonl": table.to_json(orient="records", lines=True).encode(),
        ".parquet": _parquet(table),
    }


def _damaged(content: bytes, rng: random.Random) -> bytes:
    """Return a file's bytes with a few of them changed, dropped or doubled, or cut off."""
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(content) + 1)
        span = content[at : at + rng.choice([1, 4, 50])]
        content = rng.choice(
            [
                content[:at],
                content[:at] + rng.randbytes(len(span)) + content[at + len(span) :],
                content[:at] + span + content[at:],
                content[at:],
            ]
        )
    return content


@cases
@given(suffix=st.sampled_from([".csv", ".tsv", ".json", ".jsonl", ".parquet"]), seed=st.integers(0, 2**32), as_text=st.booleans())
def test_data_file(tables: dict[str, bytes], tmp_path: Path, suffix: str, seed: int, as_text: bool) -> None:
    rng = random.Random(seed)
    content = tables[suffix]
    as_text = as_text and suffix != ".parquet"
    path = tmp_path / f"data{suffix}"
    path.write_bytes(edited(content.decode(), rng).encode(errors="replace") if as_text else _damaged(content, rng))
    with suppress(AutopeftError):
        load_files(path, text=("a", "b"), label="label")


def _read_run(path: Path) -> Any:
    run = RunDirectory.open(path)
    SearchRequest.from_settings(run.asked())
    return StudyReader.open(run).records()


@fewer_cases
@given(seed=st.integers(0, 2**32))
def test_run_directory(small_run: RunDirectory, tmp_path: Path, seed: int) -> None:
    """Settings edited as text, or the database damaged."""
    rng = random.Random(seed)
    copy = tmp_path / "copy"
    copy.mkdir(exist_ok=True)
    for name in ("run.json", "study.db"):
        shutil.copy(small_run.path / name, copy / name)
    damage: Callable[[], Any] = rng.choice(
        [
            lambda: (copy / "run.json").write_text(edited((copy / "run.json").read_text(), rng), errors="replace"),
            lambda: (copy / "run.json").write_bytes(_damaged((copy / "run.json").read_bytes(), rng)),
            lambda: (copy / "study.db").write_bytes(_damaged((copy / "study.db").read_bytes(), rng)),
        ]
    )
    damage()
    with suppress(AutopeftError):
        _read_run(copy)


WRONG: list[Any] = [None, True, -1, 0, 7.5, "x", [], ["x"], {}, {"x": 1}, [[1]], float("nan"), ...]
"""What stands in the place of a value; `...`: nothing does."""


def _places(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if place:
        yield place
    for key, child in value.items() if isinstance(value, dict) else list(enumerate(value))[:2] if isinstance(value, list) else ():
        yield from _places(child, (*place, key))


def _with(content: Any, place: tuple[str | int, ...], value: Any) -> Any:
    content = copy.deepcopy(content)
    parent = content
    for key in place[:-1]:
        parent = parent[key]
    if value is ...:
        del parent[place[-1]]
    else:
        parent[place[-1]] = value
    return content


@pytest.fixture(scope="session")
def whole_run(small_request: SearchRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with rungs, confirmations, retrained trials, a tuned baseline and an export."""
    path = tmp_path_factory.mktemp("whole") / "run"
    request = replace(small_request, out=str(path), space="lora", rungs=(0.5,), confirm=1, epochs=2)
    result = SearchResult(search(request, SilentSearch()).path)
    result.retrain(pick="best", seeds=2, progress=False)
    result.baselines(methods=["bitfit"], seeds=1, progress=False)
    result.export("best", to="script")
    return path


N_EDITS = 2
"""Of each file."""


def test_edited_values(whole_run: Path, tmp_path: Path) -> None:
    """Any value of any JSON file of a run, replaced by one of another type."""
    run = RunDirectory.open(whole_run)
    (number,) = [one.number for one in StudyReader.open(run).records() if one.confirmed]
    (exported,) = run.exports_path.iterdir()
    examples = [{"a": "the cat", "b": "the dog"}]
    readers: list[Callable[[], object]] = [
        lambda: write(gather(run), tmp_path, ["html", "md", "json"]),
        lambda: show(run.path),
        lambda: compare_runs([run, run]),
        lambda: read_retrained(run, number),
        lambda: confirmed.read(run, number),
        lambda: as_loaded(SearchRequest.from_settings(run.asked()), run.settings()),
        lambda: load_predictor(exported).predict(examples),
    ]
    for path in sorted([*run.path.rglob("*.json"), *run.path.rglob("curve.jsonl")]):
        rng, text = random.Random(path.name), path.read_text()
        lines = path.suffix == ".jsonl"
        content = [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
        for place in rng.choices(list(_places(content)), k=N_EDITS):
            edited = _with(content, place, rng.choice(WRONG))
            path.write_text("\n".join(map(json.dumps, edited)) if lines else json.dumps(edited))
            for reader in readers:
                with suppress(AutopeftError), redirect_stdout(io.StringIO()):
                    reader()
        path.write_text(text)
