"""What every method must keep on every family.

A new method is picked up from the registry, a new family from `families.py`; neither needs a line here.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from autopeft.configuration import Configuration, PeftModule, Scalar
from autopeft.errors import UnsupportedError
from autopeft.methods.applied import AppliedModules
from autopeft.methods.checkpoint import pack, unpack
from autopeft.methods.compose import apply
from autopeft.methods.counting import count_parameters, resolve
from autopeft.methods.method import Method
from autopeft.methods.registry import all_methods, get_method
from autopeft.methods.topology import Topology

from .families import FAMILIES, Subject, logits_of, subject

SOME_LAYERS = (0, 2)
SMALL_SIZE = 8
ROUNDED = {"pissa", "hra"}
"""What starts unchanged up to rounding: the weight is split in two, or passed through products that cancel."""
SOME_FAMILIES = ("bert", "llama", "t5")
TOGETHER = (
    *("bitfit", "norm_tuning", "lora", "ia3", "oft"),
    *("serial_adapter", "parallel_adapter", "compacter", "loreft", "prefix", "lofit", "prompt_tuning"),
)
"""One method or more of each kind, to be put together two by two."""


def module_of(method: Method, topology: Topology, options: dict[str, Scalar]) -> PeftModule:
    """Return a small module of a method in some of the layers."""
    able = method.layers_of(topology) or topology.layers  # of a model that can't take it, any
    layers = tuple(able.intersection(SOME_LAYERS) or able) if method.placed_in_layers else None
    fitting = (PeftModule(method.name, size, layers, options=options) for size in reversed(method.sizes) if size <= SMALL_SIZE)
    smallest = PeftModule(method.name, method.sizes[0], layers, options=options)
    return next((module for module in fitting if not method.unfit(method.complete(module), topology)), smallest)


Case = tuple[tuple[str, dict[str, Scalar]], ...]
"""Methods by name, each with the options that are not at their defaults."""


def cases() -> Iterator[object]:
    """Every method on every family; on some families also each other choice of its options, and methods together."""
    for family, method in itertools.product(FAMILIES, all_methods()):
        yield pytest.param(family, ((method.name, {}),), id=f"{family}-{method.name}")
    for family, method in itertools.product(SOME_FAMILIES, all_methods()):
        for name, choice in ((option.name, choice) for option in method.options for choice in option.choices if choice != option.default):
            yield pytest.param(family, ((method.name, {name: choice}),), id=f"{family}-{method.name}-{name}-{choice}")
    gated = tuple((name, {"gated": True}) for name in ("serial_adapter", "parallel_adapter", "prefix", "lora"))
    for family in FAMILIES:
        yield pytest.param(family, gated, id=f"{family}-gated")
    for family, together in itertools.product(SOME_FAMILIES, itertools.combinations(TOGETHER, 2)):
        yield pytest.param(family, tuple((name, {}) for name in together), id=f"{family}-{'+'.join(together)}")


pytestmark = [
    pytest.mark.filterwarnings("ignore:`gradient_checkpointing_:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled:UserWarning"),
]


def configured(family: str, case: Case) -> tuple[Subject, Configuration]:
    """Return a family's model and a configuration; skip, saying why, where they don't fit."""
    of_family = subject(family)
    modules = tuple(module_of(get_method(name), of_family.topology, options) for name, options in case)
    try:
        resolve(Configuration(modules), of_family.topology)
    except UnsupportedError as error:
        pytest.skip(str(error))
    return of_family, Configuration(modules)


def rounds(case: Case) -> bool:
    return any(ROUNDED & {name, *options} for name, options in case)


@contextmanager
def applied_to(of_family: Subject, configuration: Configuration) -> Iterator[AppliedModules]:
    torch.default_generator.manual_seed(1)
    applied = apply(of_family.model, configuration, topology=of_family.topology)
    try:
        yield applied
    finally:
        applied.eject()


@torch.no_grad()
def perturb(applied: AppliedModules) -> None:
    """Move every module's parameter away from zero."""
    torch.default_generator.manual_seed(2)
    for parameter in applied.module_parameters.values():
        parameter.add_(torch.randn_like(parameter), alpha=0.05)


def backward(of_family: Subject) -> None:
    logits = of_family.model(**of_family.batch).logits.float()
    (logits * torch.linspace(-1, 1, logits.numel()).view_as(logits)).sum().backward()


def bits(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize(("family", "case"), list(cases()))
def test_a_method_on_a_family(family: str, case: Case) -> None:
    """One test of all that holds of modules put into a model, because putting them there takes most of its time."""
    of_family, configuration = configured(family, case)
    before = bits(of_family.model)
    with applied_to(of_family, configuration) as applied:
        require_as_declared(of_family, configuration, applied, rounds(case))
        perturb(applied)
        gradients = require_gradients_of_what_is_trained(of_family, applied)
        require_the_same_with_checkpointing_and_finite_in_bfloat16(of_family, gradients)
        expected = logits_of(of_family.model, of_family.batch)
        assert not torch.equal(expected, of_family.logits)
        tolerance = {"rtol": 1e-4, "atol": 1e-5 * max(1.0, expected.abs().max().item())}
        torch.testing.assert_close(eager_logits(of_family), expected, **tolerance)
        files = pack(applied)
        if all(get_method(module.method).merges_with(module) for module in configuration.modules):
            applied.merge()
            assert not any("autopeft" in key for key, _ in of_family.model.named_parameters())
            torch.testing.assert_close(logits_of(of_family.model, of_family.batch), expected, **tolerance)
    require_bits(of_family, before)
    torch.default_generator.manual_seed(3)
    loaded = unpack(of_family.model, files, topology=of_family.topology)
    assert torch.equal(logits_of(of_family.model, of_family.batch), expected)
    loaded.eject()
    require_bits(of_family, before)


def require_as_declared(of_family: Subject, configuration: Configuration, applied: AppliedModules, rounded: bool) -> None:
    assert applied.parameter_count == count_parameters(configuration, of_family.topology) > 0
    if all(get_method(module.method).starts_unchanged for module in configuration.modules):
        tolerance = {"rtol": 1e-3, "atol": 1e-5} if rounded else {"rtol": 0, "atol": 0}
        torch.testing.assert_close(logits_of(of_family.model, of_family.batch), of_family.logits, **tolerance)


def require_gradients_of_what_is_trained(of_family: Subject, applied: AppliedModules) -> dict[nn.Parameter, torch.Tensor]:
    """Check which parameters have gradients, and return these."""
    backward(of_family)
    trained = {key: value for key, value in applied.trainable_parameters().items() if key not in of_family.unused}
    without = [key for key, parameter in trained.items() if parameter.grad is None or not parameter.grad.any()]
    assert not without, "trained parameters without gradient"
    leaked = [key for key, parameter in of_family.model.named_parameters() if parameter.grad is not None and key not in trained]
    assert not leaked, "frozen parameters with gradient"
    return {parameter: parameter.grad.clone() for parameter in trained.values() if parameter.grad is not None}


def require_the_same_with_checkpointing_and_finite_in_bfloat16(of_family: Subject, gradients: dict[nn.Parameter, torch.Tensor]) -> None:
    if of_family.model.supports_gradient_checkpointing:
        with checkpointing(of_family.model):
            of_family.model.zero_grad()
            backward(of_family)
        names = {parameter: name for name, parameter in of_family.model.named_parameters()}
        for parameter, plain in gradients.items():
            torch.testing.assert_close(
                parameter.grad,
                plain,
                rtol=1e-4,
                atol=1e-5 * (1 + plain.abs().max().item()),
                msg=lambda text, parameter=parameter: f"{names[parameter]}: {text}",
            )
    with torch.autocast("cpu", torch.bfloat16):
        backward(of_family)
    assert all(parameter.grad.isfinite().all() for parameter in gradients)


def require_bits(of_family: Subject, before: dict[str, torch.Tensor]) -> None:
    """Check that a model is what it was, and computes what it did."""
    after = of_family.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())
    assert torch.equal(logits_of(of_family.model, of_family.batch), of_family.logits)


def eager_logits(of_family: Subject) -> torch.Tensor:
    used = of_family.model.config._attn_implementation
    of_family.model.set_attn_implementation("eager")
    try:
        return logits_of(of_family.model, of_family.batch)
    finally:
        of_family.model.set_attn_implementation(used)


@pytest.mark.parametrize("method", [method for method in all_methods() if method.kind != "mask"], ids=lambda method: method.name)
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_a_16_bit_model_trains_in_32_bits(family: str, method: Method) -> None:
    of_family, configuration = configured(family, ((method.name, {}),))
    model = FAMILIES[family].build().to(torch.bfloat16)
    applied = apply(model, configuration, of_family.batch)
    perturb(applied)
    assert {parameter.dtype for parameter in applied.module_parameters.values()} == {torch.float32}
    logits = model(**of_family.batch).logits
    assert logits.dtype == torch.bfloat16
    logits.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in applied.module_parameters.values())


@contextmanager
def checkpointing(model: nn.Module) -> Iterator[None]:
    """Checkpoint in train mode, where alone it acts, with every dropout off."""
    rates = {module: module.p for module in model.modules() if isinstance(module, nn.Dropout)}
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    for module in rates:
        module.p = 0.0
    with without_dropout_rates(model):
        try:
            yield
        finally:
            for module, rate in rates.items():
                module.p = rate
            model.eval()
            model.gradient_checkpointing_disable()


@contextmanager
def without_dropout_rates(model: nn.Module) -> Iterator[None]:
    """Zero the dropout rates that modules keep as plain numbers and hand to functions."""
    names = ("dropout", "attention_dropout", "activation_dropout", "layerdrop", "dropout_prob")
    kept = [(module, name, vars(module)[name]) for module in model.modules() for name in names if isinstance(vars(module).get(name), float)]
    for module, name, _ in kept:
        setattr(module, name, 0.0)
    try:
        yield
    finally:
        for module, name, rate in kept:
            setattr(module, name, rate)
