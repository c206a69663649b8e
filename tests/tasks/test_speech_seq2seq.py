"""Speech by encoder-decoders of Whisper's kind: what the decoder is given, the loss against transformers' own, languages, error rates."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autopeft.errors import InvalidInputError, UnsupportedError
from autopeft.tasks import Encoded, TaskData, family_of, load_files
from autopeft.tasks.families.speech_seq2seq import SpeechSeq2Seq, most_tokens
from autopeft.tasks.generated import Written
from autopeft.training.evaluate import predict
from tests.tasks.helpers import write
from tests.tasks.media import wav
from tests.tasks.small import listening, model_of

TEXTS = ["ab a", "b", " a bb ab ", "ba"] * 4
START, GERMAN, TRANSCRIBE, NO_TIMESTAMPS, END = 257, 258, 259, 260, 256


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for index in range(len(TEXTS)):
        (tmp_path / f"{index}.wav").write_bytes(wav(8000, 200 + 50 * index, 0.08 + 0.02 * (index % 4)))
    return write(tmp_path / "own.csv", {"path": [f"{index}.wav" for index in range(len(TEXTS))], "sentence": TEXTS})


def loaded(file: Path, **more: Any) -> tuple[TaskData, SpeechSeq2Seq]:
    data = load_files(file, kind="speech_seq2seq", **more)
    family = family_of(data.task)
    assert isinstance(family, SpeechSeq2Seq)
    return data, family


def encoded(file: Path, max_length: int = 64, **more: Any) -> Encoded:
    data, family = loaded(file, **more)
    return family.encode(listening(), data.train.take(range(4)), max_length)


def model() -> Any:
    torch.manual_seed(0)
    return model_of("speech_seq2seq").eval()


def test_the_decoder_is_given_what_to_do_and_learns_the_text_and_its_end(file: Path) -> None:
    found = encoded(file)
    batch = found.batch(range(4))
    texts = [listening().tokenizer(text, add_special_tokens=False).input_ids for text in found.references]
    for row, text in enumerate(texts):
        n = len(text)
        assert batch.inputs["decoder_input_ids"][row, : n + 2].tolist() == [START, NO_TIMESTAMPS, *text]
        assert batch.targets[row, : n + 2].tolist() == [-100, *text, END]
        assert (batch.targets[row, n + 2 :] == -100).all()
        assert found.weights[row] == n + 1
    assert batch.inputs["input_features"].shape == (4, 16, 100)


def test_the_loss_is_transformers_own_over_the_text(file: Path) -> None:
    found, whisper = encoded(file), model()
    batch = found.batch([0])
    with torch.no_grad():
        loss = found.family.loss(found.family.forward(whisper, batch), batch)
        own = whisper(**batch.inputs, labels=batch.targets).loss
    assert float(loss) / found.weights[0] == pytest.approx(float(own), rel=1e-5)
    sums = np.array(predict(whisper, found)).ravel()  # in batches as alone
    assert sums[0] == pytest.approx(float(loss), rel=1e-5)
    assert found.family.score(sums[:, None].tolist(), found)["loss"] == pytest.approx(sums.sum() / found.weights.sum())


def test_a_transcript_that_is_cut_has_no_end(file: Path) -> None:
    cut = encoded(file, 3)
    assert [len(row["text"]) for row in cut.rows] == [min(3, len(text.strip()) + (len(text.strip()) <= 3)) for text in cut.references]
    assert [END in row["text"] for row in cut.rows] == [len(text.strip()) <= 2 for text in cut.references]


def test_a_note_says_how_many_transcripts_are_cut(file: Path) -> None:
    cut = encoded(file, 3)
    n = sum(len(text) > 3 for text in cut.references)
    assert 0 < n < len(cut)
    assert cut.family.notes_on(model(), cut, "training") == [f"{n} of 4 training transcripts are cut after 3 tokens: --max-length sets it"]
    assert encoded(file).family.notes_on(model(), encoded(file), "training") == []


def test_transcripts_longer_than_the_decoder_reads_are_refused(file: Path) -> None:
    longest = max(len(text) for text in encoded(file).references)
    small = model()
    small.config.max_target_positions = 2 + longest
    assert encoded(file).family.notes_on(small, encoded(file), "training") == []
    small.config.max_target_positions -= 1
    with pytest.raises(
        InvalidInputError, match=rf"decoder reads {1 + longest} tokens.*longer .got {longest}.*--max-length {longest - 1}\."
    ):
        encoded(file).family.notes_on(small, encoded(file), "training")


def test_a_language_is_said_to_models_of_several(file: Path) -> None:
    german = encoded(file, language="de")
    assert german.batch([0]).inputs["decoder_input_ids"][0, :4].tolist() == [START, GERMAN, TRANSCRIBE, NO_TIMESTAMPS]
    assert german.batch([0]).targets[0, :3].tolist() == [-100] * 3
    one, several = model(), model()
    several.generation_config.is_multilingual = True
    assert german.family.notes_on(several, german, "training") == []
    assert encoded(file).family.notes_on(one, german, "training") == []
    with pytest.raises(InvalidInputError, match=r"of several languages must know which is spoken.*--language en"):
        encoded(file).family.notes_on(several, german, "training")
    with pytest.raises(InvalidInputError, match=r"of one language takes none .got 'de'.*Leave --language out"):
        german.family.notes_on(one, german, "training")
    with pytest.raises(InvalidInputError, match=r"has no token <\|tlh\|> .got 'tlh'"):
        encoded(file, language="tlh")
    with pytest.raises(InvalidInputError, match=r"models for speech_to_text take no language .got 'de'.*or give --kind speech_seq2seq"):
        load_files(file, language="de")


def test_models_of_other_kinds_are_refused(file: Path) -> None:
    data, family = loaded(file)
    for processor in (listening().feature_extractor, None):
        with pytest.raises(UnsupportedError, match=r"takes models of Whisper's kind.*--kind speech_to_text"):
            family.encode(processor, data.train, 64)


def test_what_is_written_follows_the_prefix_and_ends(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, whisper = encoded(file), model()
    written = found.family.write(whisper, found)
    assert [one.reference for one in written] == list(found.references)
    assert written[0].source.endswith(" s")
    with torch.no_grad():  # greedily, a token at a time
        batch, ids = found.batch([0]), [START, NO_TIMESTAMPS]
        while len(ids) < 2 + most_tokens(0.14):
            logits = whisper(input_features=batch.inputs["input_features"], decoder_input_ids=torch.tensor([ids])).logits[0, -1]
            ids.append(int(logits.argmax()))
            if ids[-1] == END:
                break
    own = listening().tokenizer.decode(ids, skip_special_tokens=True).strip()
    assert own.startswith(written[0].text) or written[0].text.startswith(own)
    scores = found.family.score_written([Written("", "a b", " a c "), Written("", "", "d")])
    assert scores == {"word_error_rate": pytest.approx(2 / 3), "character_error_rate": pytest.approx(2 / 4)}


def test_its_settings_are_part_of_the_task(file: Path) -> None:
    data, _ = loaded(file, language="de")
    assert type(data.task).from_dict(data.task.to_dict()) == data.task
    broken = replace(data.task, settings={"language": 3}).to_dict()
    with pytest.raises((InvalidInputError, ValueError, TypeError)):
        type(data.task).from_dict(broken)
