"""AutoPEFT's three modules against a plain implementation of their formulas that shares no code with the package."""

import math

import pytest
import torch
from torch.nn import functional as F

from autopeft.configuration import Configuration, PeftModule
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

    def adapter(x: torch.Tensor, down: torch.Tensor, down_bias: torch.Tensor, up: torch.Tensor, up_bias: torch.Tensor) -> torch.Tensor:
        return (x @ down.T + down_bias).clamp(min=0) @ up.T + up_bias

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
        if "prefix" in added:
            length = added["prefix"][0].shape[1]
            key, value = (
                torch.cat([learned.unsqueeze(0).repeat(n_rows, 1, 1, 1), states], 2)
                for learned, states in zip(added["prefix"], (key, value), strict=True)
            )
            hidden = torch.cat([torch.zeros(n_rows, length, dtype=torch.bool), hidden], 1)
        scores = (query @ key.transpose(-1, -2) / math.sqrt(width)).masked_fill(hidden[:, None, None], -math.inf)
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(n_rows, n_tokens, -1)
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


@pytest.mark.parametrize("names", [(), ("serial",), ("parallel",), ("prefix",), ("serial", "parallel", "prefix")], ids="+".join)
@torch.no_grad()
def test_output_equals_the_formulas(names: tuple[str, ...]) -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    methods = {"serial": ("serial_adapter", 5), "parallel": ("parallel_adapter", 6), "prefix": ("prefix", 4)}
    applied = apply(model, Configuration(tuple(PeftModule(*methods[name], LAYERS) for name in names)), batch)
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
