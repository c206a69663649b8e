"""What must hold for text in particular: padding, causality, and generation with a cache."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
import transformers as tf

from autopeft.configuration import Configuration, PeftModule
from autopeft.methods.compose import apply

from .families import FAMILIES, GROUPED, SMALL, TWO_STACKS, VOCABULARY, Family, Subject, logits_of, subject, text
from .test_conformance import applied_to, perturb

LANGUAGE_MODELS = {
    "gpt2": Family(tf.GPT2LMHeadModel, tf.GPT2Config, {"n_embd": 32, "n_layer": 3, "n_head": 4, "pad_token_id": 0, **VOCABULARY}),
    "llama": Family(tf.LlamaForCausalLM, tf.LlamaConfig, GROUPED),
    **{name: FAMILIES[name] for name in ("qwen2", "qwen3", "gemma3", "phi3", "gpt_neox", "t5", "whisper")},
    "bart": Family(tf.BartForConditionalGeneration, tf.BartConfig, TWO_STACKS, lambda: text(pad=1, end=2)),
}
CAUSAL = [name for name in LANGUAGE_MODELS if name not in ("t5", "whisper", "bart")]
GENERATION = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None, "return_dict_in_generate": True}
CONFIGURATIONS = {
    "adapters": (("serial_adapter", 4), ("parallel_adapter", 4), ("compacter", 4)),
    "attention": (("prefix", 4), ("lofit", 1)),
    "weight": (("lora", 3),),
    "representation": (("loreft", 2),),
    "input": (("prompt_tuning", 3),),
    "gated": (("serial_adapter", 4), ("parallel_adapter", 4), ("prefix", 4), ("lora", 3)),
    "together": (("serial_adapter", 4), ("parallel_adapter", 4), ("prefix", 4), ("lora", 3)),
}
every_configuration = pytest.mark.parametrize("modules", CONFIGURATIONS)


def configuration(modules: str) -> Configuration:
    return Configuration(
        tuple(
            PeftModule(name, size, None if name == "prompt_tuning" else (0, 2), options={"gated": True} if modules == "gated" else {})
            for name, size in CONFIGURATIONS[modules]
        )
    )


@contextmanager
def modified(of_family: Subject, modules: str) -> Iterator[None]:
    with applied_to(of_family, configuration(modules)) as applied:
        perturb(applied)
        yield


@every_configuration
@pytest.mark.parametrize("family", LANGUAGE_MODELS)
def test_generation_is_the_same_with_and_without_a_cache(family: str, modules: str) -> None:
    if family == "whisper" and modules == "input":
        pytest.skip("its input is not token ids")
    model, batch = LANGUAGE_MODELS[family].build(), LANGUAGE_MODELS[family].batch()
    perturb(apply(model, configuration(modules), batch))
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    if not model.config.is_encoder_decoder:
        inputs = {name: tensor[:, :6] for name, tensor in inputs.items()}  # decoders go on where the tokens end: no padding there
    settings = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "return_dict_in_generate": True, "output_logits": True}
    cached = model.generate(**inputs, use_cache=True, **settings)
    plain = model.generate(**inputs, use_cache=False, **settings)
    torch.testing.assert_close(torch.stack(cached.logits), torch.stack(plain.logits), rtol=1e-3, atol=1e-4)
    assert torch.equal(cached.sequences, plain.sequences)


@every_configuration
@pytest.mark.parametrize("family", LANGUAGE_MODELS)
def test_beams_are_the_same_with_and_without_a_cache(family: str, modules: str) -> None:
    if family == "whisper" and modules == "input":
        pytest.skip("its input is not token ids")
    model, batch = LANGUAGE_MODELS[family].build(), LANGUAGE_MODELS[family].batch()
    perturb(apply(model, configuration(modules), batch))
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    if not model.config.is_encoder_decoder:
        inputs = {name: tensor[:, :6] for name, tensor in inputs.items()}
    settings = {"num_beams": 3, "num_return_sequences": 3, "output_scores": True, **GENERATION}
    cached = model.generate(**inputs, use_cache=True, **settings)
    plain = model.generate(**inputs, use_cache=False, **settings)
    assert torch.equal(cached.sequences, plain.sequences)
    torch.testing.assert_close(cached.sequences_scores, plain.sequences_scores, rtol=1e-3, atol=1e-4)


@every_configuration
@pytest.mark.parametrize("family", CAUSAL)
def test_padding_on_the_left_changes_nothing_in_generation(family: str, modules: str) -> None:
    model, batch = LANGUAGE_MODELS[family].build(), LANGUAGE_MODELS[family].batch()
    perturb(apply(model, configuration(modules), batch))
    padded = {name: torch.cat([tensor[:1].roll(3, dims=1), tensor[1:]]) for name, tensor in batch.items()}
    assert padded["attention_mask"][0].tolist() == [0] * 3 + [1] * 6
    alone = {name: tensor[:1, 3:] for name, tensor in padded.items()}
    settings = {"num_beams": 3, "output_logits": True, **GENERATION}
    together, single = (model.generate(**inputs, **settings) for inputs in (padded, alone))
    assert torch.equal(together.sequences[0, 9:], single.sequences[0, 6:])
    torch.testing.assert_close(together.logits[0][0], single.logits[0][0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(together.logits[-1][:3], single.logits[-1], rtol=1e-3, atol=1e-4)


@every_configuration
@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "gpt2", "llama"])
def test_padding_on_the_right_changes_nothing(family: str, modules: str) -> None:
    of_family = subject(family)
    with modified(of_family, modules):
        padded = logits_of(of_family.model, of_family.batch)[:1]
        alone = {name: tensor[:1, :6] for name, tensor in of_family.batch.items()}
        torch.testing.assert_close(logits_of(of_family.model, alone), padded, rtol=1e-4, atol=1e-5)


@every_configuration
@pytest.mark.parametrize("family", ["qwen2", "gemma3", "phi3"])
def test_a_later_token_changes_nothing_before_it(family: str, modules: str) -> None:
    of_family = subject(family)
    tokens = of_family.batch["input_ids"][1:2]
    other = tokens.clone()
    other[0, -1] = 5
    with modified(of_family, modules):
        first, second = (logits_of(of_family.model, {"input_ids": ids}) for ids in (tokens, other))
        assert first.shape[1] == tokens.shape[1]
        torch.testing.assert_close(first[:, :-1], second[:, :-1])
        assert not torch.equal(first[:, -1], second[:, -1])


def test_a_prompt_leaves_the_loss_to_the_caller_s_tokens() -> None:
    of_family = subject("qwen2")
    batch = {**of_family.batch, "labels": of_family.batch["input_ids"]}
    with modified(of_family, "input"):
        output = of_family.model(**batch)
        assert output.logits.shape[:2] == batch["input_ids"].shape
        assert output.loss.isfinite()


@pytest.mark.parametrize(
    ("starts", "ends"),
    [([1, 0, 5], [4, 8, 8]), ([2, 9, 3], [3, 9, 7]), ([2, -100, 3], [3, -100, 7])],
    ids=["answers", "one-beyond-the-tokens", "one-negative"],
)
def test_a_prompt_moves_the_spans_of_question_answering(starts: list[int], ends: list[int]) -> None:
    family = Family(tf.BertForQuestionAnswering, tf.BertConfig, SMALL)
    model, batch = family.build(), family.batch()
    applied = apply(model, configuration("input"), batch)
    perturb(applied)
    spans = {"start_positions": torch.tensor(starts), "end_positions": torch.tensor(ends)}
    output = model(**batch, **spans)
    vectors = model.autopeft_prompt.vectors.detach().clone()
    applied.eject()
    n_vectors = len(vectors)
    embedded = torch.cat([vectors.expand(3, -1, -1), model.get_input_embeddings()(batch["input_ids"])], dim=1)
    mask = torch.cat([torch.ones(3, n_vectors, dtype=torch.long), batch["attention_mask"]], dim=1)
    plain = model(inputs_embeds=embedded, attention_mask=mask)
    losses = []
    for name, positions in (("start_logits", starts), ("end_logits", ends)):
        assert output[name].shape == batch["input_ids"].shape
        torch.testing.assert_close(output[name], plain[name][:, n_vectors:])
        surprise = -plain[name].log_softmax(1)[:, n_vectors:]
        losses.append(torch.stack([surprise[row, max(at, 0)] for row, at in enumerate(positions) if at < 9]).mean())
    torch.testing.assert_close(output.loss, sum(losses) / 2)


def test_a_prompt_stands_between_padding_on_the_left_and_the_tokens() -> None:
    of_family = subject("gemma3")  # its window is four tokens
    alone = {name: tensor[:1, :6] for name, tensor in of_family.batch.items()}
    padded = {name: tensor[:1].roll(3, dims=1) for name, tensor in of_family.batch.items()}
    labels = alone["input_ids"]
    with modified(of_family, "input"):
        single = of_family.model(**alone, labels=labels)
        together = of_family.model(
            **padded,
            position_ids=(padded["attention_mask"].cumsum(1) - 1).clamp(min=0),
            labels=torch.cat([torch.full((1, 3), -100), labels], dim=1),
        )
        torch.testing.assert_close(together.logits[:, 3:], single.logits, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.loss, single.loss)
