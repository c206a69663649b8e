import gc
import weakref

import pytest
import torch

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import InvalidInputError, UnknownNameError, UnsupportedError, VerificationError
from autopeft.methods import registry
from autopeft.methods.compose import apply
from autopeft.methods.method import Method

from .families import FAMILIES, logits_of, subject

ALL_FOUR = Configuration(
    (
        PeftModule("serial_adapter", 5, (0, 2)),
        PeftModule("parallel_adapter", 6, (0, 2)),
        PeftModule("prefix", 4, (0, 2)),
        PeftModule("lora", 3, (0, 1), ("query", "value", "ffn_out")),
    )
)


def everything(model: torch.nn.Module) -> list[object]:
    """Return all that must be the same after ejecting: the tree with its hooks, configs, modes and flags."""
    modules = [
        (name, id(module), module.training, {key: id(value) for key, value in vars(module).items() if key != "training"},
         [list(vars(module)[hooks].items()) for hooks in ("_forward_hooks", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs")])
        for name, module in model.named_modules()
    ]  # fmt: skip
    parameters = [(name, id(parameter), parameter.requires_grad, parameter.data_ptr()) for name, parameter in model.named_parameters()]
    return [modules, parameters, [(name, buffer.data_ptr()) for name, buffer in model.named_buffers()]]


@pytest.mark.parametrize("family", ["bert", "distilbert", "llama", "gpt2", "t5"])
def test_eject_leaves_no_trace(family: str) -> None:
    model, batch = FAMILIES[family].build(), FAMILIES[family].batch()
    model.train()
    next(model.children()).eval()
    next(model.parameters()).requires_grad_(False)
    values = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before = everything(model)
    applied = apply(model, ALL_FOUR, batch)
    optimiser = torch.optim.AdamW(applied.trainable_parameters().values(), lr=0.1)
    model(**batch).logits.sum().backward()
    optimiser.step()
    assert everything(model) != before
    applied.eject()
    applied.eject()
    assert everything(model) == before
    assert all(torch.equal(tensor, values[name]) for name, tensor in model.state_dict().items())


def test_eject_restores_buffers_that_were_written_to() -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    positions = model.bert.embeddings.position_ids
    applied = apply(model, ALL_FOUR, batch)
    positions.add_(1)
    applied.eject()
    assert positions[0, 0] == 0


def test_memory_returns() -> None:
    of_family = subject("bert")
    applied = apply(of_family.model, ALL_FOUR, topology=of_family.topology)
    kept = [weakref.ref(parameter) for parameter in applied.trainable_parameters().values()]
    applied.eject()
    gc.collect()
    assert not any(reference() is not None for reference in kept)


def test_only_the_modules_and_the_head_are_trained() -> None:
    of_family = subject("bert")
    applied = apply(of_family.model, ALL_FOUR, topology=of_family.topology)
    trained = {name for name, parameter in of_family.model.named_parameters() if parameter.requires_grad}
    assert trained == set(applied.trainable_parameters()) == set(applied.module_parameters) | set(applied.head_parameters)
    assert set(applied.head_parameters) == {"classifier.weight", "classifier.bias"}
    assert applied.head_parameter_count == 66
    applied.eject()


def test_new_modules_follow_the_mode_of_the_model() -> None:
    of_family = subject("bert")
    applied = apply(of_family.model, ALL_FOUR, topology=of_family.topology)
    assert not any(module.training for module in of_family.model.modules())
    applied.eject()


def test_equal_seeds_give_equal_modules() -> None:
    of_family = subject("bert")
    drawn = []
    for _ in range(2):
        torch.manual_seed(7)
        applied = apply(of_family.model, ALL_FOUR, topology=of_family.topology)
        drawn.append({name: parameter.detach().clone() for name, parameter in applied.module_parameters.items()})
        applied.eject()
    assert drawn[0].keys() == drawn[1].keys()
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])


def test_one_method_may_have_a_size_per_layer() -> None:
    of_family = subject("llama")
    ranks = Configuration(tuple(PeftModule("lora", size, (layer,), ("query",)) for layer, size in enumerate((2, 4, 8))))
    applied = apply(of_family.model, ranks, topology=of_family.topology)
    assert applied.parameter_count == (2 + 4 + 8) * (32 + 32)
    for parameter in applied.module_parameters.values():
        parameter.data.add_(0.1)
    of_family.model(**of_family.batch).logits.sum().backward()
    assert all(parameter.grad.any() for parameter in applied.module_parameters.values())
    applied.eject()


def test_the_head_alone_is_a_configuration() -> None:
    of_family = subject("bert")
    applied = apply(of_family.model, Configuration(), topology=of_family.topology)
    assert applied.parameter_count == 0
    assert set(applied.trainable_parameters()) == {"classifier.weight", "classifier.bias"}
    applied.eject()


def test_merging_keeps_the_head_and_can_be_undone() -> None:
    of_family = subject("bert")
    applied = apply(of_family.model, Configuration((PeftModule("lora", 3, (0, 1)),)), topology=of_family.topology)
    for parameter in applied.trainable_parameters().values():
        parameter.data.add_(0.1)
    expected = logits_of(of_family.model, of_family.batch)
    applied.merge()
    torch.testing.assert_close(logits_of(of_family.model, of_family.batch), expected)
    assert set(of_family.model.state_dict()) == set(FAMILIES["bert"].build().state_dict())
    with pytest.raises(InvalidInputError, match="ejected or merged"):
        applied.trainable_parameters()
    applied.eject()
    assert torch.equal(logits_of(of_family.model, of_family.batch), of_family.logits)


def test_a_configuration_merges_only_as_a_whole() -> None:
    of_family = subject("bert")
    applied = apply(of_family.model, ALL_FOUR, topology=of_family.topology)
    with pytest.raises(UnsupportedError, match="parallel_adapter"):
        applied.merge()
    applied.eject()


@pytest.mark.parametrize(
    ("family", "module", "error", "message"),
    [
        ("bert", PeftModule("lora", 4, (0, 3)), InvalidInputError, r"layers the model does not have \(got \[3\]\).*layers 0 to 2"),
        ("bert", PeftModule("prefixx", 4, (0,)), UnknownNameError, "unknown PEFT method"),
        ("bert", PeftModule("lora", 4, (0,), ("query_key_value",)), UnsupportedError, "no linear in the role query_key_value"),
        ("qwen3_moe", PeftModule("lora", 4, (0,), ("ffn_in",)), UnsupportedError, "no linear in the role ffn_in"),
        ("mpnet", PeftModule("prefix", 4, (0,)), UnsupportedError, "no attention that goes through transformers' attention interface"),
    ],
)
def test_what_the_model_cannot_take_is_refused(family: str, module: PeftModule, error: type[Exception], message: str) -> None:
    of_family = subject(family)
    with pytest.raises(error, match=message):
        apply(of_family.model, Configuration((module,)), topology=of_family.topology)
    assert torch.equal(logits_of(of_family.model, of_family.batch), of_family.logits)


def test_a_model_takes_one_configuration_at_a_time() -> None:
    of_family = subject("bert")
    applied = apply(of_family.model, ALL_FOUR, topology=of_family.topology)
    with pytest.raises(InvalidInputError, match="carries PEFT modules already"):
        apply(of_family.model, ALL_FOUR, topology=of_family.topology)
    applied.eject()


def test_a_batch_or_a_topology_is_needed() -> None:
    of_family = subject("bert")
    with pytest.raises(InvalidInputError, match="needs an example batch or the model's topology"):
        apply(of_family.model, ALL_FOUR)
    with pytest.raises(InvalidInputError, match="belongs to the topology"):
        apply(of_family.model, ALL_FOUR, topology=of_family.topology, extra_trainable=["classifier.bias"])


def forgetful(skip: int, size: int) -> Method:
    """Return a method that leaves out a layer, or builds another size than asked."""

    def inject(model, module, topology) -> None:
        for block in topology.placed(module.layers):
            if block.index != skip:
                model.get_submodule(block.name).extra = torch.nn.Linear(1, size, bias=False)

    count = lambda module, topology: 2  # noqa: E731
    return Method("forgetful", "block", "is wrong", "none", inject, count)


@pytest.mark.parametrize(
    ("method", "message"),
    [(forgetful(9, 5), "has 2 parameters, and what was built has 10"), (forgetful(1, 2), r"nothing was added.*\[1\]")],
)
def test_what_was_built_is_compared_with_the_configuration(monkeypatch: pytest.MonkeyPatch, method: Method, message: str) -> None:
    monkeypatch.setitem(registry._METHODS, "forgetful", method)
    of_family = subject("bert")
    before = everything(of_family.model)
    with pytest.raises(VerificationError, match=message):
        apply(of_family.model, Configuration((PeftModule("forgetful", 1, (0, 1)),)), topology=of_family.topology)
    assert everything(of_family.model) == before


def test_another_model_s_topology_is_noticed() -> None:
    with pytest.raises(VerificationError, match="topology is of another model"):
        apply(FAMILIES["llama"].build(), ALL_FOUR, topology=subject("bert").topology)
