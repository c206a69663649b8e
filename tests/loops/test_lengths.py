from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoModel, AutoTokenizer, GPT2Config, GPT2Model

from autopeft.api import SilentSearch
from autopeft.budget import Budget
from autopeft.errors import InvalidInputError
from autopeft.loops.lengths import fit_length
from autopeft.loops.planning import plan
from autopeft.loops.retrain import RetrainRequest, of_trials, retrain
from autopeft.loops.search import search
from autopeft.methods.topology import Topology
from autopeft.request import SearchRequest
from autopeft.study.reader import StudyReader
from autopeft.tasks import TaskData, load_files
from autopeft.training.measurement import BackboneFacts

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

    assert any("24 training examples of a trial have more than 62 tokens" in note for note in run.settings()["data_notes"])

    class Quiet:
        def started(self, *_: object) -> None: ...

        def seed_finished(self, *_: object) -> None: ...

    with_prompt = next(record for record in records if "prompt_tuning" in record.configuration.describe())
    same = retrain(run, of_trials([with_prompt]), RetrainRequest(seeds=1, epochs=1, workers=0), Quiet())
    assert same.settings()["budget"]["max_length"] == 56
    assert AutoModel.from_pretrained(backbone_folder).config.max_position_embeddings == 64
    other = retrain(run, of_trials([with_prompt]), RetrainRequest(seeds=1, epochs=1, workers=0, model=str(backbone_folder)), Quiet())
    assert other.settings()["budget"]["max_length"] == 56
