"""What must hold for text in particular: padding, causality, and generation with a cache."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
import transformers as tf
from torch import nn

from autopeft.configuration import Configuration, PeftModule, Scalar
from autopeft.errors import UnsupportedError
from autopeft.methods.applied import AppliedModules
from autopeft.methods.compose import apply
from autopeft.methods.discovery import discover
from autopeft.methods.registry import get_method
from autopeft.methods.topology import Topology

from .families import DELTA_NET, FAMILIES, GROUPED, SMALL, TWO_STACKS, VOCABULARY, Family, Subject, logits_of, subject, text
from .test_conformance import applied_to, perturb

LANGUAGE_MODELS = {
    "gpt2": Family(tf.GPT2LMHeadModel, tf.GPT2Config, {"n_embd": 32, "n_layer": 3, "n_head": 4, "pad_token_id": 0, **VOCABULARY}),
    "llama": Family(tf.LlamaForCausalLM, tf.LlamaConfig, GROUPED),
    **{name: FAMILIES[name] for name in ("qwen2", "qwen3", "gemma3", "phi3", "gpt_neox", "t5", "whisper")},
    **{name: FAMILIES[name] for name in ("qwen3_next", "granite_hybrid", "mamba2")},
    "qwen3_5": Family(tf.Qwen3_5ForCausalLM, tf.Qwen3_5TextConfig, {**GROUPED, **DELTA_NET}),
    "bart": Family(tf.BartForConditionalGeneration, tf.BartConfig, TWO_STACKS, lambda: text(pad=1, end=2)),
}
CAUSAL = [name for name in LANGUAGE_MODELS if name not in ("t5", "whisper", "bart")]
N_NEW = 4
GENERATION = {"max_new_tokens": N_NEW, "do_sample": False, "eos_token_id": None, "return_dict_in_generate": True}
CONFIGURATIONS = {
    "adapters": (("serial_adapter", 4), ("parallel_adapter", 4), ("compacter", 4)),
    "attention": (("prefix", 4), ("lofit", 1)),
    "weight": (("lora", 3),),
    "representation": (("loreft", 2),),
    "input": (("prompt_tuning", 3),),
    "decomposed": (("dept", 3),),
    "gated": (("serial_adapter", 4), ("parallel_adapter", 4), ("prefix", 4), ("lora", 3)),
    "together": (("serial_adapter", 4), ("parallel_adapter", 4), ("prefix", 4), ("lora", 3)),
}
every_configuration = pytest.mark.parametrize("modules", CONFIGURATIONS)


def configuration(modules: str, topology: Topology) -> Configuration:
    """Return modules in the first and third layer, or in those of all that can take them; skip where there are none."""
    found = []
    for name, size in CONFIGURATIONS[modules]:
        method = get_method(name)
        if reason := method.objection(topology):
            pytest.skip(f"{name}: {reason}")
        able = method.layers_of(topology)
        layers = tuple(able & {0, 2} or able) if method.placed_in_layers else None
        found.append(PeftModule(name, size, layers, options={"gated": True} if modules == "gated" else {}))
    return Configuration(tuple(found))


@contextmanager
def modified(of_family: Subject, modules: str) -> Iterator[None]:
    with applied_to(of_family, configuration(modules, of_family.topology)) as applied:
        perturb(applied)
        yield


def applied_anew(family: Family, modules: str) -> tuple[nn.Module, dict[str, torch.Tensor], AppliedModules]:
    model, batch = family.build(), family.batch()
    topology = discover(model, batch)
    applied = apply(model, configuration(modules, topology), topology=topology)
    perturb(applied)
    return model, batch, applied


@pytest.mark.parametrize("n_beams", [1, 3], ids=["greedy", "beams"])
@every_configuration
@pytest.mark.parametrize("family", LANGUAGE_MODELS)
def test_generation_is_what_one_pass_over_each_text_gives(family: str, modules: str, n_beams: int) -> None:
    """With a cache, and a row padded on the left in decoders, against passes without either.

    Prompts and changes of weights are compared with a clean model, which is fed the same embeddings or has the weights merged.
    """
    model, batch, applied = applied_anew(LANGUAGE_MODELS[family], modules)
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    if not model.config.is_encoder_decoder:
        inputs = {name: torch.cat([tensor[:1].roll(3, dims=1), tensor[1:]]) for name, tensor in inputs.items()}
    model.generation_config.forced_eos_token_id = None  # BART's, which would make the last token certain
    settings = {"num_beams": n_beams, "num_return_sequences": n_beams, "output_logits": n_beams == 1, "output_scores": n_beams > 1}
    found = model.generate(**inputs, **settings, **GENERATION)
    new = found.sequences[:, -N_NEW:]
    expected = torch.stack([logits[-N_NEW:] for logits in plain_logits(model, applied, modules, inputs, found.sequences)])
    if n_beams == 1:
        torch.testing.assert_close(torch.stack(found.logits, dim=1), expected, rtol=1e-3, atol=1e-4)
    else:
        likelihoods = expected.log_softmax(-1).gather(2, new[..., None])
        torch.testing.assert_close(found.sequences_scores, likelihoods.mean((1, 2)), rtol=1e-3, atol=1e-4)


@torch.no_grad()
def plain_logits(
    model: nn.Module, applied: AppliedModules, modules: str, inputs: dict[str, torch.Tensor], sequences: torch.Tensor
) -> Iterator[torch.Tensor]:
    """Yield, for each sequence that was generated, what one pass over it alone predicts at every position: tokens x vocabulary."""
    embed, prompt = model.get_input_embeddings(), getattr(model, "autopeft_prompt", None)
    vectors = None if prompt is None else prompt.vectors.clone()
    update = prompt.by_position @ prompt.to_embedding if modules == "decomposed" else None
    if prompt is not None:
        applied.eject()
    elif modules == "weight":
        applied.merge()
    n_each = len(sequences) // 3

    def embedded(ids: torch.Tensor) -> torch.Tensor:
        text = embed(ids) if update is None else embed(ids) + update[: len(ids)]
        return text[None] if vectors is None else torch.cat([vectors, text])[None]

    for row, sequence in enumerate(sequences):
        given = {name: tensor[row // n_each] for name, tensor in inputs.items()}
        if "input_ids" not in given:
            output = model(**{name: tensor[None] for name, tensor in given.items()}, decoder_input_ids=sequence[None, :-1])
        elif model.config.is_encoder_decoder:
            own = embedded(given["input_ids"][given["attention_mask"] == 1])
            output = model(inputs_embeds=own, decoder_input_ids=sequence[None, :-1])
        else:
            n_padding = int((given["attention_mask"] == 0).sum())
            output = model(inputs_embeds=embedded(sequence[n_padding:-1]))
        yield output.logits[0]


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
    model, batch, applied = applied_anew(family, "input")
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


@pytest.mark.parametrize("family", ["qwen2", "gpt2", "bert"])
def test_a_decomposed_prompt_updates_the_first_tokens_of_a_text(family: str) -> None:
    """[P; E + AB], and what lies beyond the update's length stays; the first row has three tokens of padding on the left."""
    model, batch = FAMILIES[family].build(), FAMILIES[family].batch()
    module = PeftModule("dept", 3, options={"rank": 2, "text_length": 4})
    applied = apply(model, Configuration((module,)), batch)
    perturb(applied)
    padded = {name: torch.cat([tensor[:1].roll(3, dims=1), tensor[1:]]) for name, tensor in batch.items()}
    if family == "gpt2":
        padded["position_ids"] = (padded["attention_mask"].cumsum(1) - 1).clamp(min=0)
    logits = logits_of(model, padded)
    prompt, by_position, to_embedding = (parameter.detach().clone() for parameter in applied.module_parameters.values())
    assert [tuple(tensor.shape) for tensor in (prompt, by_position, to_embedding)] == [(3, 32), (4, 2), (2, 32)]
    applied.eject()
    rows = (1, 2) if family == "bert" else (0, 1, 2)  # a classifier that reads the first position reads padding in the first row
    for row in rows:
        own = padded["input_ids"][row][padded["attention_mask"][row] == 1]
        embedded = model.get_input_embeddings()(own).clone()
        for position in range(4):
            embedded[position] += (by_position[position][:, None] * to_embedding).sum(0)
        with torch.no_grad():
            plain = model(inputs_embeds=torch.cat([prompt, embedded])[None]).logits[0]
        expected = plain if family != "qwen2" else plain[3:]
        found = logits[row] if family != "qwen2" else logits[row, -len(own) :]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_projected_prompt_takes_from_the_update_and_is_weighed_over_its_spaces() -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    options: dict[str, Scalar] = {"rank": 2, "text_length": 5, "spaces": 3}
    applied = apply(model, Configuration((PeftModule("ept", 4, options=options),)), batch)
    prompt = model.autopeft_prompt
    assert torch.equal(prompt.made(), prompt.vectors)
    for parameter in applied.module_parameters.values():
        parameter.normal_(0, 0.4)
    update = prompt.by_position @ prompt.to_embedding
    for vector, found in zip(prompt.vectors, prompt.made(), strict=True):
        weights = torch.tensor([math.exp(float(vector @ row) / math.sqrt(32)) for row in update])
        fused = vector + sum(weight / weights.sum() * row for weight, row in zip(weights, update, strict=True))
        gates = (fused @ prompt.gate).exp()
        spaces = [(fused @ prompt.into[k]).clamp(min=0) @ prompt.out[k] * gates[k] / gates.sum() for k in range(3)]
        torch.testing.assert_close(found, fused + sum(spaces), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "rate"), [(PeftModule("dept", 3), 300.0), (PeftModule("prompt_tuning", 3, options={"prompt_rate": 30.0}), 30.0)]
)
def test_a_prompt_has_a_learning_rate_of_its_own(module: PeftModule, rate: float) -> None:
    applied = apply(FAMILIES["bert"].build(), Configuration((module,)), FAMILIES["bert"].batch())
    (group,) = applied.hooks[0].parameter_groups(applied.trainable_parameters())
    assert (len(group.parameters), group.learning_rate_factor) == (1, rate)
    assert group.parameters[0] is applied.module_parameters["autopeft_prompt.vectors"]


def test_a_model_takes_one_prompt() -> None:
    of_family = subject("bert")
    with pytest.raises(UnsupportedError, match="a model takes one prompt"):
        apply(of_family.model, Configuration((PeftModule("dept", 2), PeftModule("prompt_tuning", 2))), topology=of_family.topology)


XLNET = FAMILIES["xlnet"].settings


def embedded_with_prompt(model: nn.Module, ids: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    return torch.cat([vectors.expand(len(ids), -1, -1), model.get_input_embeddings()(ids)], dim=1)


@pytest.mark.parametrize(
    "family",
    [
        Family(tf.BertForMultipleChoice, tf.BertConfig, SMALL),
        Family(tf.RobertaForMultipleChoice, tf.RobertaConfig, {**SMALL, "pad_token_id": 1}),
        Family(tf.XLNetForMultipleChoice, tf.XLNetConfig, XLNET),
    ],
    ids=lambda family: family.model_class.__name__,
)
def test_each_choice_gets_the_prompt(family: Family) -> None:
    """Of 12 choices with 9 tokens each, as many as tokens and prompt together, none is taken for a token."""
    model = family.build()
    ids = torch.randint(6, 99, (2, 12, 9), generator=torch.Generator().manual_seed(0))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    applied = apply(model, Configuration((PeftModule("prompt_tuning", 3),)), batch)
    perturb(applied)
    labels = torch.tensor([3, 11])
    output = model(**batch, labels=labels)
    vectors = model.autopeft_prompt.vectors.detach().clone()
    applied.eject()
    embedded = embedded_with_prompt(model, ids.flatten(0, 1), vectors).unflatten(0, (2, 12))
    mask = torch.ones(2, 12, 12, dtype=torch.long)
    with torch.no_grad():
        plain = model(inputs_embeds=embedded, attention_mask=mask, token_type_ids=torch.zeros_like(mask), labels=labels)
    assert output.logits.shape == (2, 12)
    torch.testing.assert_close(output.logits, plain.logits)
    torch.testing.assert_close(output.loss, plain.loss)


@pytest.mark.parametrize("n_rows", [3, 12], ids=["", "as many rows as positions"])
@pytest.mark.parametrize("mask_name", ["attention_mask", "input_mask"])
def test_a_prompt_in_xlnet(n_rows: int, mask_name: str) -> None:
    """Its positions come before its rows; padding is on the left."""
    model = Family(tf.XLNetLMHeadModel, tf.XLNetConfig, XLNET).build()
    ids = torch.randint(6, 99, (n_rows, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, :3], ids[0, :3] = 0, 0
    batch = {"input_ids": ids, mask_name: mask if mask_name == "attention_mask" else 1 - mask}
    applied = apply(model, Configuration((PeftModule("prompt_tuning", 3),)), batch)
    perturb(applied)
    with torch.no_grad():
        logits = model(**batch, use_mems=False).logits
    vectors = model.autopeft_prompt.vectors.detach().clone()
    applied.eject()
    assert logits.shape[:2] == ids.shape
    for row, start in ((0, 3), (1, 0)):
        own = ids[row : row + 1, start:]
        with torch.no_grad():
            plain = model(inputs_embeds=embedded_with_prompt(model, own, vectors), use_mems=False).logits
        torch.testing.assert_close(logits[row, start:], plain[0, 3:], rtol=1e-4, atol=1e-5)


def test_a_prompt_in_xlnet_with_an_order_of_its_own() -> None:
    model = Family(tf.XLNetLMHeadModel, tf.XLNetConfig, XLNET).build()
    ids = text()["input_ids"]
    hidden = torch.zeros(3, 9, 9)
    hidden[:, :, -1] = 1
    wanted = torch.zeros(3, 1, 9)
    wanted[:, 0, -1] = 1
    applied = apply(model, Configuration((PeftModule("prompt_tuning", 3),)), text())
    perturb(applied)
    with torch.no_grad():
        logits = model(ids, perm_mask=hidden, target_mapping=wanted).logits
    vectors = model.autopeft_prompt.vectors.detach().clone()
    applied.eject()
    with torch.no_grad():
        plain = model(
            inputs_embeds=embedded_with_prompt(model, ids, vectors),
            perm_mask=nn.functional.pad(hidden, (3, 0, 3, 0)),
            target_mapping=nn.functional.pad(wanted, (3, 0)),
        ).logits
    torch.testing.assert_close(logits, plain)


@pytest.mark.parametrize(
    ("family", "how"), [("qwen2", "argument"), ("bert", "argument"), ("gpt2", "argument"), ("bert", "config"), ("mamba2", "config")]
)
def test_a_prompt_in_a_model_that_returns_a_tuple(family: str, how: str) -> None:
    model, batch, _ = applied_anew(FAMILIES[family], "input")
    expected = logits_of(model, batch)
    more = {"return_dict": False} if how == "argument" else {}
    model.config.return_dict = how != "config"
    output = model(**batch, **more)
    assert isinstance(output, tuple)
    assert torch.equal(output[0], expected)


def test_as_many_classes_as_positions_are_all_kept() -> None:
    model, batch, _ = applied_anew(Family(tf.BertForSequenceClassification, tf.BertConfig, {**SMALL, "num_labels": 12}), "input")
    assert logits_of(model, batch).shape == (3, 12)
