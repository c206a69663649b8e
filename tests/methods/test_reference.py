"""AutoPEFT's three modules against a plain implementation of their formulas that shares no code with the package."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnsupportedError
from autopeft.methods.compose import apply

from .families import FAMILIES, logits_of

LAYERS = (0, 2)


def reference_logits(model, batch: dict[str, torch.Tensor], modules: dict[int, dict[str, tuple[torch.Tensor, ...]]]) -> torch.Tensor:
    """Return BERT's logits, written out from its weights.

    Args:
        modules: By layer: the serial and parallel adapters' weights (down, its bias, up, its bias), the prefix's keys and values.
    """
    weights = dict(model.named_parameters())
    config = model.config
    heads, width = config.num_attention_heads, config.hidden_size // config.num_attention_heads

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + config.layer_norm_eps).sqrt()
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def adapter(
        x: torch.Tensor, down: torch.Tensor, down_bias: torch.Tensor, up: torch.Tensor, up_bias: torch.Tensor, *gate
    ) -> torch.Tensor:
        return gated(x, *gate) * ((x @ down.T + down_bias).clamp(min=0) @ up.T + up_bias)

    def gated(x: torch.Tensor, weight: torch.Tensor | None = None, bias: torch.Tensor | None = None) -> torch.Tensor | float:
        return 1.0 if weight is None else 1 / (1 + (-(x @ weight.T + bias)).exp())

    n_rows, n_tokens = batch["input_ids"].shape
    table = "bert.embeddings"
    x = weights[f"{table}.word_embeddings.weight"][batch["input_ids"]] + weights[f"{table}.token_type_embeddings.weight"][0]
    x = norm(x + weights[f"{table}.position_embeddings.weight"][:n_tokens], f"{table}.LayerNorm")
    for layer in range(config.num_hidden_layers):
        block, added = f"bert.encoder.layer.{layer}", modules.get(layer, {})
        query, key, value = (
            linear(x, f"{block}.attention.self.{name}").view(n_rows, n_tokens, heads, width).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        hidden = batch["attention_mask"] == 0
        length = 0
        if "prefix" in added:
            learned_key, learned_value, *gate = added["prefix"]
            length = learned_key.shape[1]
            key, value = (
                torch.cat([learned.unsqueeze(0).repeat(n_rows, 1, 1, 1), states], 2)
                for learned, states in ((learned_key, key), (learned_value, value))
            )
            hidden = torch.cat([torch.zeros(n_rows, length, dtype=torch.bool), hidden], 1)
        scores = (query @ key.transpose(-1, -2) / math.sqrt(width)).masked_fill(hidden[:, None, None], -math.inf)
        shares = scores.softmax(-1)
        if length and gate:
            # The gate scales the share of the attention that the prefix takes; the other positions divide the rest as before.
            g = gated(query.transpose(1, 2).reshape(n_rows, n_tokens, -1), *gate)[:, None]
            own = shares[..., length:]
            taken = g * shares[..., :length]
            shares = torch.cat([taken, own / own.sum(-1, keepdim=True) * (1 - taken.sum(-1, keepdim=True))], -1)
        mixed = (shares @ value).transpose(1, 2).reshape(n_rows, n_tokens, -1)
        x = norm(linear(mixed, f"{block}.attention.output.dense") + x, f"{block}.attention.output.LayerNorm")
        f = linear(F.gelu(linear(x, f"{block}.intermediate.dense")), f"{block}.output.dense")
        total = f + x
        if "serial" in added:
            total = total + adapter(norm(f + x, f"{block}.output.LayerNorm"), *added["serial"])
        if "parallel" in added:
            total = total + 4.0 * adapter(x, *added["parallel"])
        x = norm(total, f"{block}.output.LayerNorm")
    pooled = torch.tanh(linear(x[:, 0], "bert.pooler.dense"))
    return linear(pooled, "classifier")


@pytest.mark.parametrize("gated", [False, True], ids=["plain", "gated"])
@pytest.mark.parametrize("names", [(), ("serial",), ("parallel",), ("prefix",), ("serial", "parallel", "prefix")], ids="+".join)
@torch.no_grad()
def test_output_equals_the_formulas(names: tuple[str, ...], gated: bool) -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    methods = {"serial": ("serial_adapter", 5), "parallel": ("parallel_adapter", 6), "prefix": ("prefix", 4)}
    applied = apply(model, Configuration(tuple(PeftModule(*methods[name], LAYERS, options={"gated": gated}) for name in names)), batch)
    for parameter in applied.module_parameters.values():
        parameter.normal_(0, 0.3)
    found: dict[int, dict[str, tuple[torch.Tensor, ...]]] = {layer: {} for layer in LAYERS}
    for layer in LAYERS:
        for name in names:
            inside = [p for key, p in applied.module_parameters.items() if f"layer.{layer}." in key and methods[name][0] in key]
            found[layer][name] = tuple(inside)
    expected = reference_logits(model, batch, found)
    torch.testing.assert_close(logits_of(model, batch), expected, rtol=1e-5, atol=1e-5)
    applied.eject()
    torch.testing.assert_close(logits_of(model, batch), reference_logits(model, batch, {}), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_reparametrised_prefix_is_made_of_learned_vectors() -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    applied = apply(model, Configuration((PeftModule("prefix", 3, LAYERS, options={"mlp_width": 6}),)), batch)
    found = {}
    for layer in LAYERS:
        inside = [parameter.normal_(0, 0.5) for key, parameter in applied.module_parameters.items() if f"layer.{layer}." in key]
        vectors, into, into_bias, out, out_bias = inside
        made = (torch.tanh(vectors @ into.T + into_bias) @ out.T + out_bias).view(3, 4, 2, 8)  # vectors x heads x key or value x width
        found[layer] = {"prefix": tuple(made[:, :, part].transpose(0, 1) for part in (0, 1))}
    torch.testing.assert_close(logits_of(model, batch), reference_logits(model, batch, found), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_gated_lora_equals_its_formula() -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    plain = model.get_submodule("bert.encoder.layer.0.attention.self.query")
    x = torch.randn(2, 5, plain.in_features)
    expected = plain(x)
    applied = apply(model, Configuration((PeftModule("lora", 3, (0,), ("query",), {"alpha": 12.0, "gated": True}),)), batch)
    for parameter in applied.module_parameters.values():
        parameter.normal_(0, 0.3)
    down, up, weight, bias = (
        next(parameter for name, parameter in applied.module_parameters.items() if part in name)
        for part in ("lora_A", "lora_B", "gate.linear.weight", "gate.linear.bias")
    )
    expected = expected + 12 / 3 * (x @ down.T @ up.T) / (1 + (-(x @ weight.T + bias)).exp())
    torch.testing.assert_close(model.get_submodule("bert.encoder.layer.0.attention.self.query")(x), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_hira_holds_every_product_with_a_low_rank_matrix() -> None:
    """HUT's update, W times UV entry by entry (Zhang et al., 2024, arXiv 2409.13501), is HiRA's of one rank more: W + W (UV - 1)."""
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    linear = model.get_submodule("bert.encoder.layer.0.intermediate.dense")
    u, v, x = torch.randn(48, 2), torch.randn(2, 32), torch.randn(2, 5, 32)
    expected = x @ (linear.weight * (u @ v)).T + linear.bias
    applied = apply(model, Configuration((PeftModule("hira", 3, (0,), ("ffn_in",)),)), batch)
    down, up = (next(parameter for name, parameter in applied.module_parameters.items() if part in name) for part in ("hira_A", "hira_B"))
    down.copy_(torch.cat([v, torch.ones(1, 32)]))
    up.copy_(torch.cat([u, -torch.ones(48, 1)], dim=1))
    torch.testing.assert_close(model.get_submodule("bert.encoder.layer.0.intermediate.dense")(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("option", ["dora", "pissa"])
def test_a_gate_is_refused_where_the_update_is_not_all_that_lora_adds(option: str) -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    with pytest.raises(UnsupportedError, match=f"with {option} that is not all it adds"):
        apply(model, Configuration((PeftModule("lora", 4, (0,), options={"gated": True, option: True}),)), batch)


@torch.no_grad()
def test_a_shared_adapter_is_the_same_serial_adapter_in_each_layer() -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    applied = apply(model, Configuration((PeftModule("shared_adapter", 5, LAYERS),)), batch)
    assert applied.parameter_count == 2 * 32 * 5 + 5 + 32
    for parameter in applied.module_parameters.values():
        parameter.normal_(0, 0.3)
    own = {"serial": tuple(applied.module_parameters.values())}
    torch.testing.assert_close(logits_of(model, batch), reference_logits(model, batch, dict.fromkeys(LAYERS, own)), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_polyhistor_makes_each_layers_serial_adapter_out_of_its_embedding() -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    applied = apply(model, Configuration((PeftModule("polyhistor", 5, LAYERS, options={"embedding": 3, "rank": 2}),)), batch)
    assert applied.parameter_count == 2 * 3 + 3 * 2 * (32 + 5) * 2
    for parameter in applied.module_parameters.values():
        parameter.normal_(0, 0.5)
    found = {}
    for layer in LAYERS:
        adapter = model.bert.encoder.layer[layer].autopeft.serial["polyhistor"]
        down, up = (
            sum(e * left for e, left in zip(adapter.embedding, net.left, strict=True))
            @ sum(e * right for e, right in zip(adapter.embedding, net.right, strict=True))
            for net in (adapter.down, adapter.up)
        )
        found[layer] = {"serial": (down.T, torch.zeros(5), up.T, torch.zeros(32))}
    torch.testing.assert_close(logits_of(model, batch), reference_logits(model, batch, found), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_mixture_adds_its_experts_by_their_shares() -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    configuration = Configuration((PeftModule("mixture", 5, (1,), options={"experts": 3}),))
    applied = apply(model, configuration, batch)
    for parameter in applied.module_parameters.values():
        parameter.normal_(0, 0.3)
    mixture = model.bert.encoder.layer[1].autopeft.parallel["mixture"]
    x = torch.randn(2, 4, 32)
    expected = torch.zeros_like(x)
    for row, position in itertools.product(range(2), range(4)):
        token = x[row, position]
        scores = [float(weight @ token + bias) for weight, bias in zip(mixture.router.weight, mixture.router.bias, strict=True)]
        total = sum(math.exp(scores[expert]) for expert in range(3))
        for expert in range(3):
            down, up = mixture.experts[expert].down, mixture.experts[expert].up
            hidden = (down.weight @ token + down.bias).clamp(min=0)
            expected[row, position] += math.exp(scores[expert]) / total * 4.0 * (up.weight @ hidden + up.bias)
    torch.testing.assert_close(mixture(x), expected, rtol=1e-4, atol=1e-5)


def test_dsee_changes_a_weight_by_a_low_rank_matrix_and_the_entries_that_none_accounts_for() -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    linear = model.get_submodule("bert.encoder.layer.1.attention.self.query")
    weight, bias = linear.weight.detach().double().numpy(), linear.bias.detach().clone()
    low = np.zeros_like(weight)
    for _ in range(5):
        residual = np.where(np.isin(np.arange(1024).reshape(32, 32), np.argsort(-abs(weight - low), axis=None)[:16]), weight - low, 0)
        left, values, right = np.linalg.svd(weight - residual)
        low = left[:, :3] @ np.diag(values[:3]) @ right[:3]
    expected_entries = np.sort(np.argsort(-abs(weight - low), axis=None)[:16])
    applied = apply(model, Configuration((PeftModule("dsee", 3, (1,), ("query",), {"entries": 16}),)), batch)
    assert applied.hooks[0].tensors()["entries.0"].tolist() == expected_entries.tolist()
    for parameter in applied.module_parameters.values():
        parameter.data.normal_(0, 0.3)
    right, left, values = (parameter.detach().double().numpy() for parameter in applied.module_parameters.values())
    changed = weight + 2 * left @ right
    for entry, value in zip(expected_entries, values, strict=True):
        changed[entry // 32, entry % 32] += value
    x = torch.randn(2, 5, 32)
    torch.testing.assert_close(linear(x), (x.double() @ torch.tensor(changed).T).float() + bias, rtol=1e-4, atol=1e-5)
