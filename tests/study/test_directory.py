import json
from pathlib import Path

import pytest

from autopeft.errors import InvalidInputError
from autopeft.study.directory import RunDirectory, json_lines, write_atomically


def test_a_new_run_needs_a_free_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert (RunDirectory.create(tmp_path / "empty").path / "trials").is_dir()
    (tmp_path / "empty" / "study.db").write_bytes(b"of a process that died before the run began")
    again = RunDirectory.create(tmp_path / "empty")
    again.clear()
    assert not again.storage_path.exists()
    again.write_settings({})
    with pytest.raises(InvalidInputError, match="output folder is in use"):
        RunDirectory.create(tmp_path / "empty")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInputError, match=r"output folder is a file .*Give another --out\.$"):
        RunDirectory.create(tmp_path / "file")
    with pytest.raises(InvalidInputError, match="can't be made"):
        RunDirectory.create(tmp_path / "file" / "below")


def test_settings_round_trip(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    settings = {"settings": {"name": {"value": "run", "source": "flag"}}}
    run.write_settings(settings)
    again = RunDirectory.open(run.path)
    assert again.settings() == {"format_version": 1, **settings}
    assert again.asked() == settings["settings"]


@pytest.mark.parametrize("settings", [{}, {"settings": {"task": "mrpc"}}, {"settings": []}], ids=str)
def test_a_run_that_doesn_t_say_what_was_asked(tmp_path: Path, settings: dict[str, object]) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.write_settings(settings)
    with pytest.raises(InvalidInputError, match="settings"):
        run.asked()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds run.json"),
        ("{", "can't be read"),
        ("[]", "must be an object"),
        ('{"format_version": 99}', "run format 1"),
        ("{}", "run format 1"),
    ],
    ids=["missing", "broken", "list", "later", "none"],
)
def test_other_folders_are_no_runs(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(InvalidInputError, match=message):
        RunDirectory.open(tmp_path)


def test_trial_files_and_lines(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.write_trial(7, {"configuration.json": b"{}", "adapter/adapter.json": b"[]"})
    assert (run.path / "trials" / "0007" / "configuration.json").read_bytes() == b"{}"
    assert (run.adapter_path(7) / "adapter.json").read_bytes() == b"[]"
    run.append_trial_line({"trial": 0})
    run.append_trial_line({"trial": 1})
    lines = (run.path / "trials.jsonl").read_text().splitlines()
    assert [json.loads(line)["trial"] for line in lines] == [0, 1]


def test_writing_replaces_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"long old content")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
    assert json_lines([{"a": 1}, {"b": None}]) == b'{"a": 1}\n{"b": null}\n'


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"examples": "many"}, "examples must be an object"),
        ({"examples": {"train": "60", "validation": 20}}, "examples.train must be a whole number"),
        ({"objectives": [{"name": 1, "direction": "maximize"}]}, r"objectives\[0\].name must be text"),
        ({"budget": {"epochs": "3"}}, "budget.epochs must be a whole number"),
        ({"model": ["bert"]}, "model must be an object"),
        ({"trivial_scores": {"accuracy": None}}, "trivial_scores.accuracy must be a number"),
        ({"n_layers": 0}, "n_layers must be 1 or more"),
        ({"settings": {"trials": {"value": [64], "source": "flag"}}}, "settings.trials.value must be a whole number or null"),
        ({"settings": {"seed": {"source": "flag"}}}, "settings.seed.value is missing"),
    ],
    ids=str,
)
def test_a_value_that_was_edited_is_named(tmp_path: Path, change: dict[str, object], field: str) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.write_settings(change)
    with pytest.raises(InvalidInputError, match=rf"run\.json can't be read: {field}"):
        RunDirectory.open(run.path)


def test_what_a_reader_needs_is_named(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.write_settings({})
    with pytest.raises(InvalidInputError, match=r"run\.json can't be read: n_layers is missing"):
        run.settings("n_layers")
