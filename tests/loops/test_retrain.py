import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, BertConfig, BertModel

from autopeft.api import SilentSearch
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import AutopeftError, InvalidInputError
from autopeft.executors.base import Executor
from autopeft.loops import planning
from autopeft.loops import retrain as retraining
from autopeft.loops import search as engine
from autopeft.loops.retrain import RetrainRequest, of_trials, retrain
from autopeft.loops.workers import start_executor
from autopeft.methods.checkpoint import load
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord
from autopeft.study.retrained import Candidate, RetrainedFolder
from autopeft.tasks import family_of, load_files
from autopeft.training.backbone import find_backbone
from autopeft.training.evaluate import evaluate
from autopeft.training.measurement import RunnerSettings
from autopeft.training.model import example_inputs, load_model
from tests.conftest import write_pairs
from tests.loops.retraining import Ear

REQUEST = RetrainRequest(seeds=2, epochs=3)


def candidates(run: RunDirectory) -> list[Candidate]:
    return of_trials(StudyReader.open(run).records())


def what_was_found(folder: RetrainedFolder, *roles: str) -> list[Any]:
    """Return what is deterministic of the results."""
    return [
        (one.candidate, result.seed, result.epoch, *(getattr(result, role) for role in roles))
        for one in folder.read()
        for result in one.results
    ]


def test_the_best_epoch_is_kept_saved_and_measured(small_run: RunDirectory, small_request: SearchRequest) -> None:
    folder = retrain(small_run, candidates(small_run)[:1], REQUEST, Ear())
    (one,) = folder.read()
    assert [result.seed for result in one.results] == [0, 1]
    assert one.results[0].examples_seen == 3 * 48
    data = load_files(
        str(small_request.train), small_request.validation, small_request.test, text=("a", "b"), label="label", with_test=True
    )
    for result in one.results:
        curve = [json.loads(line) for line in (folder.seed_path(one.candidate.id, result.seed) / "curve.jsonl").read_text().splitlines()]
        best = max(curve, key=lambda point: (point["metrics"]["accuracy"], -point["metrics"]["loss"]))
        assert (result.epoch, result.validation) == (best["epoch"], best["metrics"])
        family = family_of(data.task)
        loaded = load_model(find_backbone(small_request.model), family)
        load(loaded.model, folder.adapter_path(one.candidate.id, result.seed), example_inputs(loaded, family))
        assert data.test is not None
        for split, metrics in ((data.validation, result.validation), (data.test, result.test)):
            found = evaluate(loaded.model, family.encode(loaded.processor, split, 24))
            assert found == pytest.approx(metrics, abs=1e-6)


def test_cached_hidden_states_take_as_much_memory_as_the_search_allowed(small_run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[RunnerSettings] = []

    def start(settings: RunnerSettings, *arguments: Any) -> Executor:
        seen.append(settings)
        return start_executor(settings, *arguments)

    monkeypatch.setattr(retraining, "start_executor", start)
    settings = small_run.settings()
    settings["settings"]["cache_bytes"] = {"value": "3M", "source": "flag"}
    small_run.write_settings({name: value for name, value in settings.items() if name != "format_version"})
    retrain(small_run, candidates(small_run)[:1], RetrainRequest(seeds=1, epochs=1), Ear())
    assert [one.cache_bytes for one in seen] == [SearchRequest.from_settings(small_run.asked()).n_cache_bytes]
    assert seen[0].cache_bytes < RunnerSettings.cache_bytes


def test_stopped_and_gone_on_is_the_same_as_never_stopped(small_run: RunDirectory, tmp_path: Path) -> None:
    shutil.copytree(small_run.path, tmp_path / "whole")
    whole = retrain(RunDirectory.open(tmp_path / "whole"), candidates(small_run), REQUEST, Ear())
    with pytest.raises(KeyboardInterrupt):
        retrain(small_run, candidates(small_run), REQUEST, first := Ear(stop_after=2))
    second = Ear()
    folder = retrain(small_run, candidates(small_run), REQUEST, second)
    assert second.n_done_at_start == 2
    assert len(first.finished) + len(second.finished) == len({*first.finished, *second.finished}) == 3 * 2
    assert what_was_found(folder, "validation", "test") == what_was_found(whole, "validation", "test")
    more = Ear()
    retrain(small_run, candidates(small_run), replace(REQUEST, seeds=3), more)
    assert {seed for _, seed in more.finished} == {2}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
def test_workers_train_the_same(small_run: RunDirectory, tmp_path: Path, ray_address: str) -> None:
    shutil.copytree(small_run.path, tmp_path / "inline")
    inline = retrain(RunDirectory.open(tmp_path / "inline"), candidates(small_run)[:2], REQUEST, Ear()).read()
    workers = retrain(small_run, candidates(small_run)[:2], replace(REQUEST, workers=2, address=ray_address), ear := Ear()).read()
    assert len(ear.finished) == len({*ear.finished}) == 4
    for one, other in zip(inline, workers, strict=True):
        assert one.candidate == other.candidate
        for here, there in zip(one.results, other.results, strict=True):
            assert here.test == pytest.approx(there.test, abs=1e-3)


def test_what_shares_a_table_shares_its_budget(small_run: RunDirectory) -> None:
    retrain(small_run, candidates(small_run)[:1], replace(REQUEST, seeds=1, epochs=1), Ear())
    with pytest.raises(InvalidInputError, match="must share one budget"):
        retrain(small_run, candidates(small_run)[:1], replace(REQUEST, seeds=1), Ear())
    ear = Ear()
    folder = retrain(small_run, candidates(small_run)[:2], replace(REQUEST, seeds=1, epochs=None), ear)
    assert len(ear.finished) == 1
    assert {result.examples_seen for one in folder.read() for result in one.results} == {48}


def poisoned(path: Path, rows: set[str], target: Path, *, flip: bool = True) -> Path:
    """Write a file again, its first text unknown words and, to `flip`, its label the other one in the given rows."""
    with path.open(newline="") as file:
        table = list(csv.DictReader(file))
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        for row in table:
            other = "same" if row["label"] == "different" else "different"
            garbage = {"a": "zzz " * 20, "label": other if flip else row["label"]}
            writer.writerow(row | garbage if row["a"] in rows else row)
    return target


@pytest.mark.parametrize("source", ["a test file", "cut from the training file"])
def test_neither_search_nor_the_choice_of_an_epoch_reads_test_rows(small_request: SearchRequest, tmp_path: Path, source: str) -> None:
    """Poisoned test rows change what is reported, and nothing else: trials, front, kept epochs and adapters stay the same."""
    test = tmp_path / "test.csv"
    train = write_pairs(tmp_path / "train.csv", 120, 3)
    clean = replace(small_request, train=str(train), test=str(write_pairs(test, 40, 2)) if source == "a test file" else None)
    files = {"train": str(train), "validation": clean.validation, "test": clean.test}
    held_out = load_files(**files, text=("a", "b"), label="label", with_test=True).test
    assert held_out is not None
    rows = set(held_out.inputs[0])
    if clean.test:
        dirty = replace(clean, test=str(poisoned(test, rows, tmp_path / "dirty.csv")))
    else:
        # Labels stay: a cut takes its share of each class, so that other labels are another cut.
        dirty = replace(clean, train=str(poisoned(train, rows, tmp_path / "dirty.csv", flip=False)))

    runs = [
        engine.search(replace(request, out=str(tmp_path / name)), SilentSearch()) for name, request in (("clean", clean), ("dirty", dirty))
    ]
    one, other = ([_without_clock(record) for record in StudyReader.open(run).records()] for run in runs)
    assert one == other
    assert planning.plan(clean).data.test is planning.plan(dirty).data.test is None

    before, after = (retrain(run, candidates(run)[:2], RetrainRequest(seeds=1, epochs=3), Ear()) for run in runs)
    assert what_was_found(before, "validation") == what_was_found(after, "validation")
    assert what_was_found(before, "test") != what_was_found(after, "test")
    for found in before.read():
        names = [folder.adapter_path(found.candidate.id, 0) / "adapter.safetensors" for folder in (before, after)]
        assert names[0].read_bytes() == names[1].read_bytes()


def _without_clock(record: TrialRecord) -> TrialRecord:
    return replace(record, seconds=None, train_seconds=None, peak_bytes=None, cpu_seconds=None)


@pytest.fixture
def deeper_backbone(backbone_folder: Path, tmp_path: Path) -> Path:
    """Six layers where the search had three, and as many words."""
    tokenizer = AutoTokenizer.from_pretrained(backbone_folder)
    tokenizer.save_pretrained(tmp_path / "deeper")
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=6, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(tmp_path / "deeper")
    return tmp_path / "deeper"


def test_another_backbone_gets_the_same_depths(small_run: RunDirectory, deeper_backbone: Path) -> None:
    found = Candidate(Configuration((PeftModule("lora", 2, (0, 2)),), {"learning_rate": 1e-2}), "trial 0", "trial", 0)
    folder = retrain(small_run, [found], RetrainRequest(seeds=1, epochs=1, model=str(deeper_backbone)), Ear())
    (one,) = folder.read()
    assert one.candidate.configuration.modules == (PeftModule("lora", 2, (0, 1, 4, 5)),)
    assert folder.path == small_run.path / "transferred" / "deeper"
    assert not small_run.retrained_path.exists()


def test_a_backbone_that_has_changed_is_no_longer_the_search_s(small_run: RunDirectory) -> None:
    settings = small_run.settings()
    settings["model"]["sha256"] = "0" * 64
    small_run.write_settings({name: value for name, value in settings.items() if name != "format_version"})
    with pytest.raises(InvalidInputError, match="not those of the search any more"):
        retrain(small_run, candidates(small_run), REQUEST, Ear())


def test_a_configuration_that_always_fails_says_why(small_run: RunDirectory) -> None:
    wild = Candidate(Configuration((PeftModule("lora", 2, (0,)),), {"learning_rate": 1e30}), "wild", "trial", 9)

    class Deaf(Ear):
        def seed_finished(self, candidate: Candidate, seed: int, outcome: object, n_done: int, n_total: int) -> None:
            assert "diverged" in str(outcome)

    with pytest.raises(AutopeftError, match="every training failed; the first of wild: training diverged"):
        retrain(small_run, [wild], RetrainRequest(seeds=1, epochs=1), Deaf())
    assert not RetrainedFolder(small_run.retrained_path).is_done(wild.id, 0)
