import pickle
from pathlib import Path
from typing import Any

import pytest

from autopeft.errors import InvalidInputError, UnavailableError, UnknownNameError
from autopeft.tasks import load
from tests.tasks.helpers import examples, write


def rows(n: int, prefix: str, labels: list[Any] | None = None) -> dict[str, Any]:
    return {
        "sentence1": [f"{prefix} {index}" for index in range(n)],
        "sentence2": [f"other {index}" for index in range(n)],
        "label": labels or [index % 2 for index in range(n)],
        "idx": list(range(n)),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An MRPC of 40 training, 6 validation and 8 labelled test rows, each split in another format."""
    write(tmp_path / "mrpc" / "train.parquet", rows(40, "train"))
    write(tmp_path / "mrpc" / "validation.csv", rows(6, "validation"))
    write(tmp_path / "mrpc" / "test.jsonl", rows(8, "test"))
    return tmp_path


def test_a_folder_with_every_split(folder: Path) -> None:
    data = load("mrpc", data_dir=folder, with_test=True)
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (40, 6, 8)
    assert examples(data.test)[1] == ("test 1", "other 1", 1)
    assert [note.partition(":")[0] for note in data.notes] == ["train", "test", "validation"]
    assert f"test: {folder / 'mrpc' / 'test.jsonl'}" in data.notes


def test_the_environment_names_the_folder_and_the_argument_wins(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOPEFT_DATA", str(folder))
    assert len(load("mrpc").train) == 40
    other = tmp_path / "other"
    write(other / "mrpc" / "train.csv", rows(30, "train"))
    assert len(load("mrpc", data_dir=other).train) == 24


def test_labels_may_be_names(folder: Path) -> None:
    write(folder / "mrpc" / "validation.csv", rows(4, "validation", ["equivalent", "not_equivalent", "1", "0"]))
    assert load("mrpc", data_dir=folder).validation.targets.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("hidden", [[-1] * 8, None], ids=["-1", "no column"])
def test_hidden_test_labels_are_replaced_by_a_cut(folder: Path, hidden: list[int] | None) -> None:
    test = rows(8, "test", hidden)
    if hidden is None:
        del test["label"]
    write(folder / "mrpc" / "test.jsonl", test)
    without, given = load("mrpc", data_dir=folder), load("mrpc", data_dir=folder, with_test=True)
    assert without.test is None
    assert given.test is not None
    assert (len(given.train), len(given.validation), len(given.test)) == (36, 6, 4)
    assert examples(without.train) == examples(given.train)
    assert sorted(examples(given.train) + examples(given.test)) == sorted(
        (f"train {index}", f"other {index}", index % 2) for index in range(40)
    )
    assert any(
        "the public test labels are hidden, so 4 examples cut from the training data by seed 0 serve" in note for note in given.notes
    )


def test_labelled_test_data_goes_before_hidden(folder: Path) -> None:
    write(folder / "mrpc" / "test.jsonl", rows(8, "test", [-1] * 8))
    write(folder / "mrpc" / "test_labelled.csv", rows(8, "labelled"))
    data = load("mrpc", data_dir=folder, with_test=True)
    assert data.test is not None
    assert len(data.train) == 40
    assert examples(data.test)[0] == ("labelled 0", "other 0", 0)


def test_a_missing_validation_split_is_cut(folder: Path) -> None:
    (folder / "mrpc" / "validation.csv").unlink()
    data = load("mrpc", data_dir=folder)
    assert (len(data.train), len(data.validation)) == (36, 4)
    assert any(note.startswith("validation: there is no validation split, so 4 examples") for note in data.notes)


def test_test_rows_never_reach_training_or_validation(folder: Path) -> None:
    before = load("mrpc", data_dir=folder)
    write(folder / "mrpc" / "test.jsonl", rows(8, "POISON", [1] * 8))
    after = load("mrpc", data_dir=folder)
    assert pickle.dumps(before) == pickle.dumps(after)
    assert b"POISON" not in pickle.dumps(after)


def test_mnli_is_found_under_the_names_of_its_splits(tmp_path: Path) -> None:
    columns = {"premise": ["p"] * 30, "hypothesis": ["h"] * 30, "label": [0, 1, 2] * 10}
    for name in ("train", "validation_matched", "test_matched"):
        write(tmp_path / "mnli" / f"{name}.parquet", columns)
    data = load("mnli", data_dir=tmp_path, with_test=True)
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (30, 30, 30)


@pytest.mark.parametrize("label", [2, -1, 0.5, "maybe"])
def test_a_label_outside_the_task_is_refused(folder: Path, label: Any) -> None:
    (folder / "mrpc" / "train.parquet").unlink()
    write(folder / "mrpc" / "train.jsonl", rows(4, "train", [0, 1, label, 0]))
    with pytest.raises(InvalidInputError, match=r"train\.jsonl, line 3: the label in column 'label' must be one of"):
        load("mrpc", data_dir=folder)


def test_a_folder_without_its_columns_is_refused(folder: Path) -> None:
    write(folder / "mrpc" / "validation.csv", {"sentence_1": ["a"], "sentence2": ["b"], "label": [1]})
    with pytest.raises(InvalidInputError, match=r"validation\.csv has no column .got 'sentence1'.*Did you mean 'sentence_1'"):
        load("mrpc", data_dir=folder)


def test_a_folder_without_training_data_is_refused(folder: Path) -> None:
    (folder / "mrpc" / "train.parquet").unlink()
    with pytest.raises(InvalidInputError, match=r"must hold a file train\.\* that ends in one of \.parquet"):
        load("mrpc", data_dir=folder)


def test_a_data_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"the data folder does not exist .*Check --data-dir or AUTOPEFT_DATA"):
        load("mrpc", data_dir=tmp_path / "nope")


def test_a_task_without_a_sub_folder_is_looked_for_on_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(folder))
    with pytest.raises(
        UnavailableError, match=r"no folder .*rte, and nyu-mll/glue is not in the hub's cache.*offline.*--task demo"
    ) as caught:
        load("rte", data_dir=folder, offline=True)
    assert caught.value.exit_code == 3


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "sizes", "positive"),
    [("mrpc", (3668, 408, 1725), 0.674), ("sst2", (62349, 872, 5000), 0.557), ("stsb", (5749, 1500, 1379), None)],
)
def test_real_data(shared_data: Path, name: str, sizes: tuple[int, int, int], positive: float | None) -> None:
    data, without = (load(name, data_dir=shared_data, with_test=flag) for flag in (True, False))
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == sizes
    assert pickle.dumps(without.train) == pickle.dumps(data.train)
    if positive is None:
        assert (data.train.targets.min(), data.train.targets.max()) == (0.0, 5.0)
        assert data.test.targets.min() >= 0
    else:
        assert data.train.targets.mean() == pytest.approx(positive, abs=0.001)


def test_a_folder_of_own_files_is_no_task_and_how_to_use_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "my trec" / "train.csv", {"text": ["a", "b"], "label": ["x", "y"]})
    write(tmp_path / "my trec" / "test.csv", {"text": ["a", "b"], "label": ["x", "y"]})
    expected = r"folder .*my trec holds own files .*--train '.*my trec/train.csv' --test '.*my trec/test.csv' --text COLUMN"
    with pytest.raises(InvalidInputError, match=expected):
        load("my trec", data_dir=tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match=expected):
        load("my trec")
    with pytest.raises(InvalidInputError, match=r"this is a file .*--train 'my trec/train\.csv'"):
        load("my trec/train.csv")


def test_a_task_of_another_spelling_is_not_taken_for_one(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Known: "):
        load("trec", data_dir=tmp_path)
