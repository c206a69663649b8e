"""Modules over models whose linears bitsandbytes or torchao has quantised."""

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from tempfile import TemporaryDirectory

import pytest
import torch
from torch import nn
from transformers import BitsAndBytesConfig, TorchAoConfig

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnsupportedError, VerificationError
from autopeft.methods.checkpoint import pack, unpack
from autopeft.methods.compose import apply
from autopeft.methods.counting import count_parameters, resolve
from autopeft.methods.discovery import discover
from autopeft.methods.quantised import dequantise, keep_as_packed
from autopeft.methods.registry import all_methods, get_method
from autopeft.methods.snapshot import Snapshot
from autopeft.methods.topology import Topology

from .families import FAMILIES, logits_of, subject
from .test_conformance import SOME_LAYERS, bits, module_of, perturb

pytest.importorskip("bitsandbytes")
pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled:UserWarning")

HEADS = {"bert": ["classifier"], "llama": ["score"], "t5": ["lm_head"]}
LORA = Configuration((PeftModule("lora", 4, SOME_LAYERS, ("query", "value")),))
SOME_METHODS = ("lora", "oft", "serial_adapter", "prefix", "norm_tuning", "bitfit")
"""Tried over every family and scheme; the others over one of them, and over all where there is time."""
LEFT_OUT = {
    *("bitfit", "last_layers", "full_fine_tuning", "gradual_unfreezing", "hft", "greentrainer"),
    *("lt_sft", "dsee", "triadaptlora", "spiel", "loha", "lokr", "hra", "c3a", "delora", "gralora", "glora", "psoft", "peanut"),
}


@dataclass
class Subject:
    model: nn.Module
    topology: Topology
    batch: dict[str, torch.Tensor]
    plain: nn.Module
    """The same with the weights that the quantised ones stand for."""
    plain_topology: Topology


def load(family: str, scheme: str) -> nn.Module:
    if scheme == "nf4":
        settings = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": torch.float32}
        config = BitsAndBytesConfig(load_in_4bit=True, llm_int8_skip_modules=HEADS[family], **settings)
    elif scheme == "int8":
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)  # as autopeft.training.quantisation does
        config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=HEADS[family])
    else:
        config = TorchAoConfig(pytest.importorskip("torchao.quantization").Int8WeightOnlyConfig(), modules_to_not_convert=HEADS[family])
    with TemporaryDirectory() as folder:
        FAMILIES[family].build().save_pretrained(folder)
        build = FAMILIES[family].model_class.from_pretrained
        model = build(folder, quantization_config=config, device_map="cpu", dtype=torch.float32).eval()
    keep_as_packed(model)  # as for a search; on some processors it would fail on these widths
    return model


@cache
def quantised(family: str, scheme: str) -> Subject:
    model, plain, batch = load(family, scheme), load(family, scheme), FAMILIES[family].batch()
    dequantise(plain)
    return Subject(model, discover(model, batch), batch, plain, discover(plain, batch))


def cases() -> Iterator[object]:
    for family, scheme in (*itertools.product(HEADS, ["nf4"]), ("llama", "int8"), ("llama", "torchao")):
        for method in all_methods():
            marks = () if (family, scheme) == ("llama", "nf4") or method.name in SOME_METHODS else (pytest.mark.slow,)
            yield pytest.param(family, scheme, method.name, id=f"{scheme}-{family}-{method.name}", marks=marks)


@pytest.mark.parametrize(("family", "scheme", "name"), list(cases()))
def test_a_method_over_quantised_weights(family: str, scheme: str, name: str) -> None:
    of, method = quantised(family, scheme), get_method(name)
    module = module_of(method, of.plain_topology, {})
    configuration = Configuration((module,))
    try:
        resolve(configuration, of.plain_topology)
    except UnsupportedError as error:
        pytest.skip(str(error))
    if name in LEFT_OUT or (name, scheme) == ("hira", "torchao"):
        with pytest.raises(UnsupportedError, match="are quantised"):
            apply(of.model, configuration, topology=of.topology)
        return
    before, unchanged = bits(of.model), logits_of(of.model, of.batch)
    torch.manual_seed(1)
    applied = apply(of.model, configuration, topology=of.topology)
    try:
        assert applied.parameter_count == count_parameters(configuration, subject(family).topology)
        if method.starts_unchanged:
            # SHiRA computes with dequantised weights, without rounding what its linears read as int8 does.
            tolerance = {"rtol": 0, "atol": {"int8": 5e-3, "torchao": 1e-6, "nf4": 0}[scheme] if name == "shira" else 0}
            torch.testing.assert_close(logits_of(of.model, of.batch), unchanged, **tolerance)
        perturb(applied)
        of.model(**of.batch).logits.float().pow(2).sum().backward()
        assert not [key for key, parameter in applied.module_parameters.items() if parameter.grad is None]
        trained, files = logits_of(of.model, of.batch), pack(applied)
        assert not torch.equal(trained, unchanged)
        with pytest.raises(UnsupportedError, match="nothing is merged into quantised weights"):
            applied.merge()
    finally:
        applied.eject()
    after = of.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(_raw(after[key]), _raw(tensor)) for key, tensor in before.items())
    loaded = unpack(of.model, files, topology=of.topology)
    assert torch.equal(logits_of(of.model, of.batch), trained)
    loaded.eject()
    assert torch.equal(logits_of(of.model, of.batch), unchanged)

    loaded = unpack(of.plain, files, topology=of.plain_topology, any_quantisation=True)
    try:
        over_plain = logits_of(of.plain, of.batch)
        if scheme == "int8":  # whose linears round what they read, too
            assert (over_plain - trained).norm() < 0.02 * trained.norm()
        else:
            torch.testing.assert_close(over_plain, trained, rtol=1e-4, atol=1e-5)
        if method.merges_with(module):
            loaded.merge()
            torch.testing.assert_close(logits_of(of.plain, of.batch), over_plain, rtol=1e-4, atol=1e-5)
    finally:
        loaded.eject()


def _raw(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.dequantize() if hasattr(tensor, "__tensor_flatten__") else tensor


@pytest.mark.parametrize("scheme", ["nf4", "int8", "torchao"])
def test_parameters_are_counted_as_if_nothing_were_quantised(scheme: str) -> None:
    found, plain = quantised("bert", scheme).topology, subject("bert").topology
    assert found.size == plain.size
    assert [tensor.shape for tensor in found.tensors] == [tensor.shape for tensor in plain.tensors]
    assert {tensor.name for tensor in found.tensors if tensor.quantisation} == {
        f"{linear.name}.weight" for block in plain.blocks for linear in block.linears
    } | {"bert.pooler.dense.weight"}
    assert Topology.from_json(found.to_json()) == found


def test_an_adapter_remembers_over_what_it_was_trained() -> None:
    nf4, plain = quantised("llama", "nf4"), subject("llama")
    over_nf4 = apply(nf4.model, LORA, topology=nf4.topology)
    files = pack(over_nf4)
    over_nf4.eject()
    over_plain = apply(plain.model, LORA, topology=plain.topology)
    plain_files = pack(over_plain)
    over_plain.eject()
    with pytest.raises(VerificationError, match="was trained over nf4 weights, and the model's are unquantised"):
        unpack(plain.model, files, topology=plain.topology)
    with pytest.raises(VerificationError, match="was trained over unquantised weights, and the model's are nf4"):
        unpack(nf4.model, plain_files, topology=nf4.topology)
    unpack(plain.model, files, topology=plain.topology, any_quantisation=True).eject()
    other = FAMILIES["llama"].build()
    other.model.norm.weight.data.mul_(2)
    with pytest.raises(VerificationError, match=r"trained on another backbone.*1 of \d+ tensors differ, model\.norm\.weight"):
        unpack(other, files, plain.batch, any_quantisation=True)


@pytest.mark.parametrize("scheme", ["nf4", "int8", "torchao"])
def test_a_digest_is_of_codes_and_scales(scheme: str) -> None:
    of = Subject(load("bert", scheme), *[None] * 4)  # type: ignore[arg-type]
    batch = FAMILIES["bert"].batch()
    first = discover(of.model, batch)
    logits_of(of.model, batch)  # int8's scales move to another place
    assert discover(of.model, batch) == first
    linear = of.model.bert.encoder.layer[1].attention.self.key
    with torch.no_grad():
        scales = linear.weight.quant_state.absmax if scheme == "nf4" else linear.state.SCB if scheme == "int8" else linear.weight.scale
        scales.view(-1)[0] += 1
    changed = [one.name for one, other in zip(discover(of.model, batch).tensors, first.tensors, strict=True) if one != other]
    assert changed == ["bert.encoder.layer.1.attention.self.key.weight"]


def test_a_snapshot_brings_back_what_bitsandbytes_moves() -> None:
    model, batch = load("bert", "int8"), FAMILIES["bert"].batch()
    linear = model.bert.encoder.layer[0].attention.self.query
    weight, scales = linear.weight, linear.weight.SCB
    assert scales is not None
    snapshot = Snapshot(model)
    logits_of(model, batch)
    assert weight.SCB is None
    linear.state.CB = None
    snapshot.restore()
    assert weight.SCB is scales
    assert weight.CB is not None
    assert linear.state.SCB is None


def test_four_bits_stay_packed_as_they_are_on_every_processor() -> None:
    of = quantised("bert", "nf4")
    linears = [module for module in of.model.modules() if hasattr(module, "support_avx512bf16_for_cpu")]
    assert linears
    for linear in linears:
        linear.support_avx512bf16_for_cpu = True  # what bitsandbytes finds on a processor that multiplies bfloat16
    try:
        assert discover(of.model, of.batch) == of.topology
        applied = apply(of.model, LORA, topology=of.topology)
        logits_of(of.model, of.batch)  # would pack weights anew, and fail on these widths
        applied.eject()
    finally:
        for linear in linears:
            linear.support_avx512bf16_for_cpu = False
