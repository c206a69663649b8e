from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoModel, AutoTokenizer, GPT2Config, GPT2Model

from autopeft.api import SilentSearch
from autopeft.budget import Budget
from autopeft.errors import InvalidInputError, UnavailableError
from autopeft.loops.data import load_data, low_cost_budget
from autopeft.loops.lengths import fit_length, lengths_at_hand
from autopeft.loops.planning import plan
from autopeft.loops.retrain import RetrainRequest, of_trials, retrain
from autopeft.loops.search import search
from autopeft.methods.topology import Topology
from autopeft.request import SearchRequest
from autopeft.study.reader import StudyReader
from autopeft.tasks import Task, TaskData, family_of, load_files
from autopeft.tasks.families import recordings
from autopeft.tasks.lengths import lengths_in_words
from autopeft.training import backbone
from autopeft.training.measurement import BackboneFacts
from tests.tasks.helpers import write
from tests.tasks.media import png, wav

PROMPTS = """
modules:
  - {method: prompt_tuning, size: [0, 8]}
  - {method: lora, size: [0, 4]}
training:
  learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
"""


@pytest.fixture(scope="module")
def data(pairs: tuple[Path, Path]) -> TaskData:
    return load_files(train=str(pairs[0]), validation=str(pairs[1]), text=("a", "b"), label="label")


@pytest.mark.parametrize(
    ("n_positions", "taken", "asked", "expected"),
    [
        (None, 32, 10_000, 10_000),
        (512, 0, 512, 512),
        (512, 0, 600, 512),
        (512, 8, 512, 504),
        (512, 8, 500, 500),
        (512, 3, 512, 509),
        (64, 0, 62, 62),
        (64, 8, 62, 56),
        (77, 0, 128, 77),
    ],
)
def test_texts_end_where_the_positions_do(data: TaskData, n_positions: int | None, taken: int, asked: int, expected: int) -> None:
    facts = BackboneFacts(Topology("", "", "input_ids", "", (), (), ()), 1, 1, "cpu", "fp32", n_positions)
    budget, noted = fit_length(Budget(max_length=asked), data, facts, taken)
    assert budget.max_length == expected
    assert len(noted.notes) - len(data.notes) == (expected != asked)
    if expected != asked:
        assert f"cut after {expected} tokens and not {asked}: the model reads {n_positions} positions" in noted.notes[-1]


def test_no_room_at_all_is_an_error(data: TaskData) -> None:
    facts = BackboneFacts(Topology("", "", "input_ids", "", (), (), ()), 1, 1, "cpu", "fp32", 16)
    with pytest.raises(InvalidInputError, match=r"no room for a text: the model reads 16 positions, of which a prompt takes up to 16"):
        fit_length(Budget(), data, facts, 16)


@pytest.fixture
def long_request(small_request: SearchRequest, backbone_folder: Path, tmp_path: Path) -> SearchRequest:
    """Texts of 300 words on a GPT-2 of 64 positions."""
    (tmp_path / "space.yaml").write_text(PROMPTS)
    GPT2Model(GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=20, n_positions=64)).save_pretrained(tmp_path / "gpt2")
    AutoTokenizer.from_pretrained(backbone_folder).save_pretrained(tmp_path / "gpt2")
    for name in ("train", "validation", "test"):
        rows = [f"{'the red cat ' * 100},{label}" for label in ("yes", "no") * 12]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows]))
    files = {name: str(tmp_path / f"{name}.csv") for name in ("train", "validation", "test")}
    return replace(
        small_request, **files, text=("text",), model=str(tmp_path / "gpt2"), space=str(tmp_path / "space.yaml"), max_length=62, trials=4,
        out=str(tmp_path / "run"),
    )  # fmt: skip


def test_a_search_and_a_retraining_cut_texts_to_leave_room_for_prompts(long_request: SearchRequest, backbone_folder: Path) -> None:
    assert plan(long_request).budget.max_length == 56
    run = search(long_request, SilentSearch())
    records = StudyReader.open(run).records()
    assert {record.state for record in records} == {"complete"}
    assert any(module.method == "prompt_tuning" for record in records for module in record.configuration.modules)
    assert run.settings()["budget"]["max_length"] == 56
    assert any("texts are cut after 56 tokens and not 62" in note for note in run.settings()["data_notes"])

    assert any("24 of 24 have more than 56 and are cut" in note for note in run.settings()["data_notes"])

    class Quiet:
        def started(self, *_: object) -> None: ...

        def seed_finished(self, *_: object) -> None: ...

    with_prompt = next(record for record in records if "prompt_tuning" in record.configuration.describe())
    same = retrain(run, of_trials([with_prompt]), RetrainRequest(seeds=1, epochs=1, workers=0), Quiet())
    assert same.settings()["budget"]["max_length"] == 56
    assert AutoModel.from_pretrained(backbone_folder).config.max_position_embeddings == 64
    other = retrain(run, of_trials([with_prompt]), RetrainRequest(seeds=1, epochs=1, workers=0, model=str(backbone_folder)), Quiet())
    assert other.settings()["budget"]["max_length"] == 56


def test_a_check_says_lengths_as_a_search_does(long_request: SearchRequest) -> None:
    data = load_data(long_request)
    said = lengths_at_hand(long_request, data, low_cost_budget(long_request, data))
    every = "training examples have 302 to 302 tokens, half of them up to 302, 95% up to 302; 24 of 24 have more than"
    assert said == [f"{every} 62 and are cut", "of validation examples 24 of 24 have more than 62 and are cut"]
    assert any(note.startswith(f"{every} 56 and are cut") for note in plan(long_request).data.notes)


def test_recordings_have_lengths_in_seconds_and_images_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MAX_SECONDS", 2)
    for number in range(20):
        (tmp_path / f"{number}.wav").write_bytes(wav(1000, 100.0, 1 + number % 5 / 2))
        (tmp_path / f"{number}.png").write_bytes(png(number, 100))
    for column, suffix, said in (
        (
            "audio",
            "wav",
            ["training examples have 1 to 3 seconds, half of them up to 2, 95% up to 3; 8 of 20 have more than 2 and are cut"],
        ),
        ("image", "png", []),
    ):
        file = write(tmp_path / f"{column}.jsonl", {column: [f"{number}.{suffix}" for number in range(20)], "label": ["a", "b"] * 10})
        request = SearchRequest(train=str(file), validation=str(file), test=str(file))
        data = load_data(request)
        assert lengths_at_hand(request, data, low_cost_budget(request, data))[:1] == said


def test_without_a_tokenizer_at_hand_nothing_is_counted(long_request: SearchRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone, "DEMO_PACKAGE", "no_such_package")
    data = load_data(long_request)
    (said,) = lengths_at_hand(replace(long_request, model=None), data, low_cost_budget(long_request, data))
    assert said.startswith("lengths are not known without the model's tokenizer, which --model names")
    with pytest.raises(UnavailableError, match="nobody/nothing"):
        lengths_at_hand(replace(long_request, model="nobody/nothing", offline=True), data, low_cost_budget(long_request, data))


def test_lengths_are_told_once_where_nothing_is_cut() -> None:
    family = family_of(Task("t", "classification", ("text",), "label", ("a", "b"), "accuracy", ("accuracy",), Budget()))
    said = lengths_in_words({"training": [3, 5, 5, 1200], "validation": [4]}, family, 2000)
    assert said == ["training examples have 3 to 1,200 tokens, half of them up to 5, 95% up to 1,200; none has more than 2,000"]
