from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import InvalidInputError, UnsupportedError
from autopeft.methods.compose import apply
from autopeft.tasks import Encoded, Family, Split, Task, TaskData, family_of, load_files
from autopeft.tasks.prompts import ANSWER, LEARNT, encode, put_together
from tests.conftest import SHARED, WORDS
from tests.tasks.helpers import write

TEMPLATE = (
    "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }} [end] {% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}"
)


def make_tokenizer(template: str | None = None) -> Any:
    names = ["[PAD]", "[UNK]", "[BOS]", "[EOS]", "[user]", "[assistant]", "[system]", "[end]", *WORDS]
    tokenizer = Tokenizer(models.WordLevel({name: index for index, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="[BOS] $A", special_tokens=[("[BOS]", 2)])
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "bos_token": "[BOS]", "eos_token": "[EOS]"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=template, **special)


@pytest.fixture(scope="module")
def plain() -> Any:
    return make_tokenizer()


@pytest.fixture(scope="module")
def chat() -> Any:
    return make_tokenizer(TEMPLATE)


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=24,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).eval()


def learnt(tokenizer: Any, row: Any, mark: Sequence[int] = (LEARNT, ANSWER)) -> str:
    return str(tokenizer.decode([token for token, one in zip(row["input_ids"], row["learnt"], strict=True) if one in mark]))


def test_only_the_completion_and_its_end_are_learnt(plain: Any) -> None:
    rows, whole = encode(plain, [put_together(plain, "the cat", " sees red")], 32)
    assert plain.decode(rows[0]["input_ids"]) == "[BOS] the cat sees red [EOS]"
    assert learnt(plain, rows[0]) == "sees red [EOS]"
    assert learnt(plain, rows[0], [ANSWER]) == "sees red"
    assert whole.tolist() == [len(rows[0]["input_ids"])]


def test_of_a_conversation_the_last_answer_or_all_of_them_are_learnt(chat: Any) -> None:
    turns = [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "sees"}, {"role": "user", "content": "old"}]
    last, every = (encode(chat, [put_together(chat, turns, "blue dog", all_turns=all_turns)], 32)[0][0] for all_turns in (False, True))
    assert learnt(chat, last) == "blue dog [end]"
    assert learnt(chat, every) == "sees [end] blue dog [end]"
    assert learnt(chat, every, [ANSWER]) == "blue dog"


def test_a_text_is_put_to_a_chat_model_as_the_user_s_turn(chat: Any) -> None:
    assert put_together(chat, "the cat", "sees").text == "[user] the cat [end] [assistant] sees [end] "
    short = make_tokenizer("{{ messages[0]['content'] }} {{ messages[-1]['content'] }}")
    assert put_together(short, "the cat", "sees").text == "the cat sees"


def test_a_conversation_needs_a_template(plain: Any) -> None:
    with pytest.raises(UnsupportedError, match="needs a chat template"):
        put_together(plain, [{"role": "user", "content": "the"}], "cat")


def test_a_template_that_refuses_a_conversation_says_why() -> None:
    with pytest.raises(InvalidInputError, match="refuses a conversation: no system here"):
        put_together(make_tokenizer("{{ raise_exception('no system here') }}"), "the", "cat")


def test_what_is_too_long_loses_the_beginning_of_its_prompt(plain: Any) -> None:
    rows, whole = encode(plain, [put_together(plain, "the cat and the dog", " sees")], 4)
    assert plain.convert_ids_to_tokens(rows[0]["input_ids"]) == ["the", "dog", "sees", "[EOS]"]
    assert whole.tolist() == [8]
    assert sum(map(bool, rows[0]["learnt"])) == 2


def test_a_completion_that_does_not_fit_is_refused(plain: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"example 1: a completion must leave room.*--max-length"):
        encode(plain, [put_together(plain, "the", " cat sees red blue")], 3)


def test_a_text_alone_is_learnt_to_where_it_is_cut(plain: Any) -> None:
    rows, _ = encode(plain, [put_together(plain, "", "the cat sees red")], 3)
    assert plain.convert_ids_to_tokens(rows[0]["input_ids"]) == ["[BOS]", "the", "cat"]
    assert rows[0]["learnt"][1:] == [ANSWER, ANSWER]


FORMATS: dict[str, dict[str, list[Any]]] = {
    "prompt": {"prompt": ["the cat"] * 9, "completion": [" sees red"] * 8 + [" sees blue"]},
    "alpaca": {"instruction": ["the cat"] * 9, "input": [""] * 9, "output": ["sees red"] * 9},
    "messages": {"messages": [[{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "sees red"}]] * 9},
    "sharegpt": {"conversations": [[{"from": "human", "value": "the cat"}, {"from": "gpt", "value": "sees red"}]] * 9},
    "turns": {"prompt": [[{"role": "user", "content": "the cat"}]] * 9, "completion": ["sees red"] * 9},
    "text": {"text": ["the cat sees red"] * 9},
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_inferred_and_encoded(name: str, tmp_path: Path, chat: Any) -> None:
    data = load_files(write(tmp_path / "own.jsonl", FORMATS[name]))
    assert data.task.kind == "causal_lm"
    assert (data.task.labels, data.task.metric) == ((), "loss")
    encoded = family_of(data.task).encode(chat, data.train, 32)
    assert len(encoded) == len(data.train)
    assert "sees red" in learnt(chat, encoded.rows[0])
    assert ("the cat" in learnt(chat, encoded.rows[0])) == (name == "text")


def test_columns_of_other_names_are_written_with_them(tmp_path: Path, plain: Any) -> None:
    data = load_files(
        write(tmp_path / "own.jsonl", {"question": ["the cat"] * 9, "answer": ["red"] * 9}),
        text="question",
        label="answer",
        kind="causal_lm",
    )
    first = next(iter(family_of(data.task).prompts(plain, data.train, 32)))
    assert first == {"prompt": "question: the cat\nanswer:", "completion": " red"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"prompt": ["a"] * 9, "completion": ["b"] * 8 + [" "]}, r"line 9: the column 'completion' must not be empty"),
        ({"messages": [[{"role": "user", "content": "a"}]] * 9}, r"line 1: a conversation must end with an answer of the assistant"),
        ({"messages": [[{"role": "user"}]] * 9}, r"line 1: .*list of messages such as"),
    ],
    ids=["empty completion", "no answer", "no content"],
)
def test_bad_examples_are_refused_by_place(tmp_path: Path, rows: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_files(write(tmp_path / "own.jsonl", rows))


@pytest.fixture
def choices(tmp_path: Path) -> TaskData:
    rows = {"prompt": [f"the {word}" for word in WORDS], "completion": [" red", " blue green"] * (len(WORDS) // 2)}
    return load_files(write(tmp_path / "own.jsonl", rows))


def by_hand(model: LlamaForCausalLM, tokenizer: Any, prompt: str, completion: str) -> tuple[float, float]:
    """Return the sum of the losses of completion and end token, and of the completion's log-likelihoods, one text at a time."""
    before, whole = (tokenizer(text)["input_ids"] for text in (prompt, prompt + completion))
    whole = [*whole, tokenizer.eos_token_id]
    with torch.no_grad():
        each = functional.cross_entropy(model(torch.tensor([whole])).logits[0, :-1], torch.tensor(whole[1:]), reduction="none")
    own = each[len(before) - 1 :]
    return float(own.sum()), -float(own[:-1].sum())


def predictions(model: LlamaForCausalLM, encoded: Encoded) -> list[Any]:
    batch = encoded.batch(range(len(encoded)))
    with torch.no_grad():
        return encoded.family.reduce(encoded.family.forward(model, batch), batch)


def test_losses_are_those_of_one_text_at_a_time(choices: TaskData, plain: Any, model: LlamaForCausalLM) -> None:
    family = family_of(choices.task)
    encoded = family.encode(plain, choices.train, 32, training=True)
    assert len(encoded) == len(choices.train)
    expected = [by_hand(model, plain, prompt, one)[0] for prompt, one in zip(choices.train.inputs[0], choices.train.targets, strict=True)]
    assert [row[0] for row in predictions(model, encoded)] == pytest.approx(expected, rel=1e-5)
    batch = encoded.batch(range(len(encoded)))
    with torch.no_grad():
        assert float(family.loss(family.forward(model, batch), batch)) == pytest.approx(sum(expected), rel=1e-5)
    assert encoded.weights.sum() == sum(len(one.split()) + 1 for one in choices.train.targets)


def test_choices_are_made_by_likelihood(choices: TaskData, plain: Any, model: LlamaForCausalLM) -> None:
    assert choices.task.labels == (" blue green", " red")
    family = family_of(choices.task)
    encoded = family.encode(plain, choices.validation, 32)
    scores = family.score(predictions(model, encoded), encoded)
    hits, hits_per_byte, losses, n = [], [], [], 0
    for prompt, true in zip(choices.validation.inputs[0], choices.validation.targets, strict=True):
        likelihoods = {one: by_hand(model, plain, prompt, one)[1] for one in choices.task.labels}
        hits.append(max(likelihoods, key=lambda one: likelihoods[one]) == true)
        hits_per_byte.append(max(likelihoods, key=lambda one: likelihoods[one] / len(one.encode())) == true)
        losses.append(by_hand(model, plain, prompt, true)[0])
        n += len(true.split()) + 1
    assert scores["choice_accuracy"] == np.mean(hits)
    assert scores["choice_accuracy_per_byte"] == np.mean(hits_per_byte)
    assert scores["loss"] == pytest.approx(sum(losses) / n, rel=1e-5)
    assert scores["perplexity"] == pytest.approx(np.exp(scores["loss"]))
    assert choices.trivial_scores()["choice_accuracy"] >= 0.5


def test_logits_are_computed_where_they_are_needed_alone(choices: TaskData, plain: Any, model: LlamaForCausalLM) -> None:
    family = family_of(choices.task)
    encoded = family.encode(plain, choices.train, 32, training=True)
    batch = encoded.batch([0, 1, 2])
    outputs = family.forward(model, batch)
    assert outputs.logits.shape[1] < batch.inputs["input_ids"].shape[1]

    def without_the_argument(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return model(input_ids=input_ids, attention_mask=attention_mask)

    class Other:
        forward = staticmethod(without_the_argument)
        __call__ = staticmethod(without_the_argument)

    assert torch.equal(family.forward(Other(), batch).logits, outputs.logits)  # type: ignore[arg-type]


def test_a_diverged_model_has_no_accuracy(choices: TaskData, plain: Any) -> None:
    family: Family = family_of(choices.task)
    encoded = family.encode(plain, choices.validation, 32)
    scores = family.score([np.array([np.nan, 0.0])] * len(encoded), encoded)
    assert all(np.isnan(value) for value in scores.values())


@pytest.mark.parametrize("prompt", [0, 5])
def test_what_is_written_ends_where_the_positions_do(prompt: int) -> None:
    """GPT-2 of 24 positions is given a text as long as that."""
    tokenizer = make_tokenizer()
    task = Task("t", "causal_lm", ("prompt",), "completion", (), "loss", ("loss", "perplexity"), Budget())
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=24)).eval()
    if prompt:
        apply(model, Configuration((PeftModule("prompt_tuning", prompt),)), {"input_ids": torch.tensor([[4, 5, 6]])})
    split = Split((["the cat " * 30, "the"],), ["cat", " cat"])
    family = family_of(task)
    written = family.write(model, family.encode(tokenizer, split, 24 - prompt))
    assert len(written) == 2
    assert len(family.answers(model, tokenizer, split, 24 - prompt, lambda *_: [])) == 2


def test_a_slow_tokenizer_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="fast tokenizer"):
        encode(SimpleNamespace(is_fast=False), [], 8)


@pytest.mark.shared
def test_a_real_language_model_s_loss_is_transformers_own(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = SHARED / "models" / "stories260k"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), LlamaForCausalLM.from_pretrained(folder).eval()
    texts = ["Once upon a time, there was a little girl named Lily.", "The dog ran to the park and saw a big red ball."] * 5
    data = load_files(write(tmp_path / "own.jsonl", {"text": texts}))
    encoded = family_of(data.task).encode(tokenizer, data.validation, 128)
    with torch.no_grad():
        found = family_of(data.task).score(predictions(model, encoded), encoded)["loss"]
        ids = torch.tensor([encoded.rows[0]["input_ids"]])
        assert found == pytest.approx(float(model(input_ids=ids, labels=ids).loss), rel=1e-5)
