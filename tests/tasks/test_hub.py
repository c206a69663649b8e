"""The hub as a folder that looks like its cache, and as servers on the loopback interface; never the real one."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from autopeft.errors import InvalidInputError
from autopeft.hub import DEADLINE_SECONDS, REQUEST_SECONDS
from autopeft.tasks import load_dataset
from tests.tasks.helpers import write

REVISION = "0" * 40
REPORT = """
import sys, time
import autopeft.tasks as tasks
start = time.process_time()  # which load does not lengthen
try:
    data = tasks.load(sys.argv[1], offline=len(sys.argv) > 2, with_test=True)
    print("loaded", len(data.train), len(data.validation), len(data.test), data.train.inputs[0][0])
except tasks.sources.UnavailableError as error:
    print(error)
print(time.process_time() - start)
"""


def attempt(home: Path, *arguments: str, program: str = REPORT, **environment: str) -> tuple[str, float]:
    """Load a task in a new process, for the hub's settings are read on import; return what it printed and its processor seconds.

    Raises:
        subprocess.TimeoutExpired: It doesn't end: a request that hangs holds it.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_") and not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**clean, "HF_HOME": str(home), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    *lines, seconds = done.stdout.splitlines()
    return "\n".join(lines), float(seconds)


def fill_cache(home: Path, *, splits: tuple[str, ...] = ("train", "validation", "test")) -> None:
    """Lay out what `hf download nyu-mll/glue` leaves, with one configuration."""
    repository = home / "hub" / "datasets--nyu-mll--glue"
    snapshot = repository / "snapshots" / REVISION
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION)
    files = "".join(f"  - split: {split}\n    path: rte/{split}-*\n" for split in splits)
    for split, n in zip(splits, (40, 6, 8), strict=False):
        columns = {"sentence1": [f"{split} {index}" for index in range(n)], "sentence2": ["x"] * n, "label": [0, 1] * (n // 2)}
        write(snapshot / "rte" / f"{split}-00000-of-00001.parquet", columns)
    (snapshot / "README.md").write_text(f"---\nconfigs:\n- config_name: rte\n  data_files:\n{files}---\n")


def fill_cache_of_any(home: Path) -> None:
    """Lay out a data set of somebody's with two configurations, splits of its own names, named classes and nested columns."""
    repository = home / "hub" / "datasets--some--reviews"
    snapshot = repository / "snapshots" / REVISION
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION)
    names = {"name": "verdict", "dtype": {"class_label": {"names": {"0": "bad", "1": "good"}}}}
    nested = {"name": "review", "struct": [{"name": "body", "dtype": "string"}]}
    infos, configs = [], []
    for configuration in ("films", "books"):
        for split, n in (("every", 40), ("dev", 6)):
            rows = {"review": [{"body": f"{configuration} {split} {index}"} for index in range(n)], "verdict": [0, 1] * (n // 2)}
            write(snapshot / configuration / f"{split}-00000.parquet", rows)
        infos.append({"config_name": configuration, "features": [nested, names]})
        files = [{"split": split, "path": f"{configuration}/{split}-*"} for split in ("every", "dev")]
        configs.append({"config_name": configuration, "data_files": files})
    (snapshot / "README.md").write_text("---\n" + json.dumps({"dataset_info": infos, "configs": configs}) + "\n---\n")


ANY = """
import sys, time
import autopeft.tasks as tasks
def attempt(reference, **options):
    try:
        data = tasks.load_dataset(reference, with_test=True, **options)
        print(data.task.name, data.task.kind, data.task.labels, len(data.train), len(data.validation), data.train.inputs[0][0])
    except Exception as error:
        print(type(error).__name__, error)
start = time.process_time()
columns = {"text": "review.body", "label": "verdict"}
attempt("some/reviews:films", splits=["train=every"], **columns)
attempt("some/reviews:books", splits=["train=every[10:30]"], **columns)
attempt("some/reviews:books", **columns)
attempt("some/reviews:books", splits=["train=no"], **columns)
attempt("some/reviews", **columns)
attempt("some/others")
print(time.process_time() - start)
"""


def test_any_data_set_is_read_by_columns_and_splits(tmp_path: Path, black_hole: str) -> None:
    fill_cache_of_any(tmp_path)
    message, seconds = attempt(tmp_path, program=ANY, HF_ENDPOINT=black_hole, HF_HUB_OFFLINE="1")
    films, books, unclear, missing, configuration, absent = message.splitlines()
    assert films == "reviews-films classification ('bad', 'good') 36 6 films every 0"
    assert books.startswith("reviews-books classification ('bad', 'good') 18 6 books every 1")
    assert "which split of some/reviews is for training. Say which: --splits train=NAME. It has: every, dev" in unclear
    assert "some/reviews has no such split (got 'no')" in missing
    assert "UnavailableError" in configuration
    assert "'films', 'books'" in configuration
    assert "UnavailableError there are no examples: some/others is not in the hub's cache, and the network is not used" in absent
    assert "--train FILE" in absent
    assert seconds < 10


def test_a_data_set_with_a_program_is_had_as_parquet(tmp_path: Path, answering_hub: str) -> None:
    program = """
import datasets
def load_dataset(*arguments, **more):
    if not more:
        raise RuntimeError("Dataset scripts are no longer supported, but found glue.py")
    print("asked for", *arguments, more)
    rows = {"text": [f"t {n}" for n in range(20)], "label": [0, 1] * 10}
    return {"train": datasets.Dataset.from_dict(rows)}
datasets.load_dataset = load_dataset
import autopeft.tasks as tasks
print(len(tasks.load_dataset("nyu-mll/glue").train))
print(0.0)
"""
    message, _ = attempt(tmp_path, program=program, HF_ENDPOINT=answering_hub)
    assert message == "asked for nyu-mll/glue None {'revision': 'refs/convert/parquet'}\n16"


@pytest.mark.parametrize(
    ("reference", "splits", "message"),
    [
        ("a/b/c", (), r"named as owner/name or owner/name:configuration .got 'a/b/c'"),
        ("a b", (), "named as owner/name"),
        ("a/b", ("dev",), r"--splits must name a split for some of train, validation, test.*got 'dev'"),
        ("a/b", ("train=x", "train=y"), "each once"),
    ],
)
def test_a_wrong_reference_is_refused(reference: str, splits: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_dataset(reference, splits=splits)


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def black_hole() -> Iterator[str]:
    """A server that accepts every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def answering_hub() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"id": "nyu-mll/glue", "sha": "0", "siblings": []}' if self.path == "/api/datasets/nyu-mll/glue" else b"{}"
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_closed_port_is_reported_at_once(tmp_path: Path, closed_port: str) -> None:
    message, seconds = attempt(tmp_path, "rte", HF_ENDPOINT=closed_port)
    assert "can't be reached on the hub" in message
    for way in ("--data-dir FOLDER", "AUTOPEFT_DATA=FOLDER", "where the hub can be reached", "--task demo"):
        assert way in message
    assert seconds < 5


def test_a_server_that_never_answers_is_reported_within_five_seconds(tmp_path: Path, black_hole: str) -> None:
    message, seconds = attempt(tmp_path, "rte", HF_ENDPOINT=black_hole)
    assert "can't be reached on the hub" in message
    assert seconds < 5
    assert REQUEST_SECONDS < DEADLINE_SECONDS < 5


@pytest.mark.parametrize("arguments", [("rte", "offline"), ("rte",)], ids=["argument", "variable"])
def test_offline_asks_nobody(tmp_path: Path, black_hole: str, arguments: tuple[str, ...]) -> None:
    extra = {} if len(arguments) > 1 else {"HF_HUB_OFFLINE": "1"}
    message, seconds = attempt(tmp_path, *arguments, HF_ENDPOINT=black_hole, **extra)
    assert "the network is not used when offline" in message
    assert seconds < 5


@pytest.mark.parametrize("extra", [{}, {"HF_HUB_OFFLINE": "1"}], ids=["online", "offline"])
def test_a_cached_copy_is_used_without_asking(tmp_path: Path, black_hole: str, extra: dict[str, str]) -> None:
    fill_cache(tmp_path)
    message, _ = attempt(tmp_path, "rte", HF_ENDPOINT=black_hole, **extra)
    assert message == "loaded 40 6 8 train 0"


@pytest.mark.parametrize(
    ("name", "splits"), [("cola", ("train", "validation", "test")), ("rte", ("train",))], ids=["configuration", "split"]
)
def test_a_cached_copy_that_lacks_what_is_asked_for_is_not_enough(
    tmp_path: Path, closed_port: str, name: str, splits: tuple[str, ...]
) -> None:
    fill_cache(tmp_path, splits=splits)
    message, _ = attempt(tmp_path, name, HF_ENDPOINT=closed_port)
    assert "nyu-mll/glue is not in the hub's cache and can't be reached" in message


def test_an_answering_hub_is_asked_for_the_data(tmp_path: Path, answering_hub: str) -> None:
    program = (
        """
import datasets
def load_dataset(*arguments):
    print("asked for", *arguments)
    rows = {"sentence1": [f"t {n}" for n in range(20)], "sentence2": ["x"] * 20, "label": [0, 1] * 10}
    return {split: datasets.Dataset.from_dict(rows) for split in ("train", "validation", "test")}
datasets.load_dataset = load_dataset
"""
        + REPORT
    )
    message, _ = attempt(tmp_path, "rte", program=program, HF_ENDPOINT=answering_hub)
    assert message == "asked for nyu-mll/glue rte\nloaded 20 20 20 t 0"


def test_a_hub_that_answers_nonsense_is_reported(tmp_path: Path, answering_hub: str) -> None:
    message, _ = attempt(tmp_path, "rte", HF_ENDPOINT=answering_hub)
    assert "nyu-mll/glue can't be loaded from the hub" in message
