import subprocess
import sys
from dataclasses import replace

import pytest

from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.tasks import Table, get_task, load, register_task, registry, task_names
from autopeft.tasks.entry import Entry, Role
from tests.tasks.helpers import examples

GLUE = {
    "cola": (("sentence",), 2, "matthews_correlation", {"matthews_correlation"}),
    "mnli": (("premise", "hypothesis"), 3, "accuracy", {"accuracy"}),
    "mrpc": (("sentence1", "sentence2"), 2, "accuracy", {"accuracy", "f1"}),
    "qnli": (("question", "sentence"), 2, "accuracy", {"accuracy"}),
    "qqp": (("question1", "question2"), 2, "accuracy", {"accuracy", "f1"}),
    "rte": (("sentence1", "sentence2"), 2, "accuracy", {"accuracy"}),
    "sst2": (("sentence",), 2, "accuracy", {"accuracy"}),
    "stsb": (("sentence1", "sentence2"), 0, "spearman", {"pearson", "spearman"}),
    "wnli": (("sentence1", "sentence2"), 2, "accuracy", {"accuracy"}),
}


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Entry]:
    entries = dict(registry._ENTRIES)
    monkeypatch.setattr(registry, "_ENTRIES", entries)
    return entries


def test_the_names_are_glue_and_demo() -> None:
    assert set(task_names()) == {*GLUE, "demo"}
    assert list(task_names()) == sorted(task_names())


@pytest.mark.parametrize("name", GLUE)
def test_glue_columns_labels_and_official_metrics(name: str) -> None:
    columns, n_labels, metric, official = GLUE[name]
    task = get_task(name)
    assert (task.input_columns, task.target_column, len(task.labels), task.metric) == (columns, "label", n_labels, metric)
    assert official <= set(task.metrics)
    assert "loss" in task.metrics


def test_glue_label_order() -> None:
    assert get_task("mnli").labels == ("entailment", "neutral", "contradiction")
    assert get_task("rte").labels == get_task("qnli").labels == ("entailment", "not_entailment")
    assert get_task("wnli").labels == ("not_entailment", "entailment")
    assert get_task("cola").labels == ("unacceptable", "acceptable")


def test_an_unknown_name_gets_near_matches() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown task \(got 'mprc'\)\. Did you mean 'mrpc'"):
        get_task("mprc")
    with pytest.raises(UnknownNameError, match="unknown task"):
        load("../mrpc")


def test_a_registered_task_loads_like_a_built_in_one(own_registry: dict[str, Entry]) -> None:
    def generate() -> dict[Role, Table]:
        rows = {"sentence": [f"text {index}" for index in range(40)], "label": ["positive", "negative"] * 20}
        return {"train": Table("made up", rows, range(1, 41))}

    register_task(replace(get_task("sst2"), name="mine"), generate=generate)
    data = load("mine")
    assert "mine" in task_names()
    assert (len(data.train), len(data.validation), data.test) == (32, 4, None)
    assert {("text 0", 1), ("text 1", 0)} <= set(examples(data.train)) | set(examples(load("mine", with_test=True).test or data.train))


@pytest.mark.parametrize("name", ["mrpc", "demo"])
def test_a_taken_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"must not be taken .got '{name}'"):
        register_task(replace(get_task("sst2"), name=name))


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b"])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="name a folder"):
        register_task(replace(get_task("sst2"), name=name))


def test_listing_tasks_imports_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "datasets", "sklearn", "scipy", "pyarrow", "pandas", "huggingface_hub"}
    program = "import sys, autopeft.tasks as tasks; tasks.task_names(); tasks.get_task('demo'); print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & heavy


def test_loading_imports_no_torch() -> None:
    program = "import sys, autopeft.tasks as tasks; tasks.load('demo'); print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {"torch", "transformers"}
