"""Every kind of task through a search with rungs and a bound, its resumption, retraining, the report and a tuned baseline."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from autopeft.api import SearchResult
from autopeft.loops import search as engine
from autopeft.request import SearchRequest
from autopeft.tasks import family_names
from tests.loops.searches import Log, records
from tests.tasks.small import NAMED, write_task

MAX_PARAMS = 900
SHOWN = {
    "regression": "Predictions by size",
    "question_answering": "Answers",
    "embedding": "Rank of a query's own text",
    "token_classification": "Scores per type of span",
    "multi_label": "Scores per label",
    "speech_to_text": "Transcripts",
    "causal_lm": "Generated texts",
    "seq2seq": "Generated texts",
    "speech_seq2seq": "Generated texts",
    "multiple_choice": "Scores per choice",
}
"""What a report has besides tables of trials; of classes, scores of each."""


def request_of(kind: str, folder: Path, tokenizer: Path) -> SearchRequest:
    file, model = write_task(kind, folder, tokenizer)
    return SearchRequest(
        kind=NAMED.get(kind), train=str(file), validation=str(file), test=str(file), model=str(model), space="lora", start="none",
        sampler="random", trials=3,
        epochs=2, batch_size=8, max_length=24, rungs=(0.5,), reduction=3.0, max_params=MAX_PARAMS, workers=0, out=str(folder / "run"),
    )  # fmt: skip


@pytest.mark.parametrize("kind", family_names())
def test_every_kind_is_searched_resumed_retrained_and_reported(kind: str, backbone_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        engine.search(request_of(kind, tmp_path, backbone_folder), Log(stop_after=1))
    found = records(engine.resume(tmp_path / "run", Log()))
    assert sorted(record.state for record in found) == ["complete", "stopped", "stopped"]
    assert all(0 < record.trainable_parameters <= MAX_PARAMS for record in found)
    result = SearchResult(tmp_path / "run")
    ((trained,),) = (entry.results for entry in result.retrain(pick="best", seeds=1, epochs=1, workers=0, progress=False).entries)
    assert set(result.best().values) <= {*trained.test, "trainable_parameters"}
    (page,) = result.report(tmp_path / "report")
    assert SHOWN.get(kind, "Scores per class") in re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", family_names())
def test_every_kind_is_compared_with_a_baseline_and_goes_on_as_if_it_had_not_stopped(
    kind: str, backbone_folder: Path, tmp_path: Path
) -> None:
    request = request_of(kind, tmp_path, backbone_folder)
    whole = records(engine.search(replace(request, out=str(tmp_path / "whole")), Log()))
    with pytest.raises(KeyboardInterrupt):
        engine.search(request, Log(stop_after=1))
    assert records(engine.resume(tmp_path / "run", Log())) == whole
    result = SearchResult(tmp_path / "run")
    compared = result.baselines(methods=["lora"], trials_per_method=1, seeds=1, epochs=1, workers=0, progress=False)
    assert [len(entry.results) for entry in compared.entries] == [1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["causal_lm", "audio_classification"])  # all others travel in tests/training
def test_two_workers_measure_what_this_process_does(kind: str, backbone_folder: Path, tmp_path: Path, ray_address: str) -> None:
    request = replace(request_of(kind, tmp_path, backbone_folder), rungs=())  # which trial goes on depends on which ends first
    here = records(engine.search(request, Log()))
    there = records(engine.search(replace(request, workers=2, address=ray_address, out=str(tmp_path / "there")), Log()))
    assert [record.values for record in there] == [record.values for record in here]
