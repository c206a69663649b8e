from typing import Any

import pytest
import torch
import transformers as hf
from torch import nn

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import InvalidInputError, UnsupportedError
from autopeft.methods.compose import apply
from autopeft.methods.counting import resolve
from autopeft.methods.discovery import discover
from autopeft.methods.topology import Topology

from .families import FAMILIES, subject

POST_NORM = {"bert", "roberta", "electra", "distilbert", "albert", "deberta-v2", "mpnet", "bart", "wav2vec2", "xlnet"}
WITHOUT_INTERFACE = {"deberta-v2", "mpnet", "bloom", "xlnet", "mamba2"}
FUSED = {"modernbert", "gpt2", "gpt_neox", "phi3", "bloom"}
HYBRID = {"qwen3_next", "qwen3_5", "granite_hybrid"}
"""Only their second layer has attention."""


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_are_found(family: str) -> None:
    topology = subject(family).topology
    expected = 1 if family == "albert" else 6 if family in {"t5", "bart", "whisper"} else 3
    assert [block.index for block in topology.blocks] == list(range(expected))
    assert {block.hidden_size for block in topology.blocks} == ({16, 32} if family == "swin" else {32})
    assert {block.is_post_norm for block in topology.blocks} == {family in POST_NORM}
    assert all(bool(block.ffn_in and block.ffn_out) == (family != "mamba2") for block in topology.blocks)
    with_attention = set() if family in WITHOUT_INTERFACE else {1} if family in HYBRID else topology.layers
    assert {block.index for block in topology.blocks if block.attentions} == with_attention


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in HYBRID | {"mamba2", "xlnet"}])
def test_every_block_has_each_role(family: str) -> None:
    for block in subject(family).topology.blocks:
        roles = {linear.role for linear in block.linears}
        assert roles >= ({"query_key_value"} if family in FUSED else {"query", "key", "value"}) | {"attention_output"}
        assert ({"ffn_in", "ffn_out"} <= roles) == (family != "qwen3_moe")
        outputs = [linear for linear in block.linears if linear.role == "attention_output"]
        assert len(outputs) == (2 if any(attention.is_cross for attention in block.attentions) else 1)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("qwen3_next", {"in_proj_qkvz": "query_key_value", "in_proj_ba": "other", "out_proj": "attention_output"}),
        ("qwen3_5", {"in_proj_qkv": "query_key_value", "in_proj_z": "other", "out_proj": "attention_output"}),
        ("granite_hybrid", {"in_proj": "query_key_value"}),  # kernels read the weight of out_proj themselves
        ("mamba2", {"in_proj": "query_key_value"}),
    ],
)
def test_recurrent_layers_have_projections_to_change(family: str, expected: dict[str, str]) -> None:
    block = subject(family).topology.blocks[0]
    roles = {linear.name.rsplit(".", 1)[-1]: linear.role for linear in block.linears}
    assert roles.items() >= expected.items()
    assert ("out_proj" in roles) == ("out_proj" in expected)
    assert {linear.name.rsplit(".", 1)[-1] for linear in block.select(("query", "value"))} == {next(iter(expected))}


def test_a_mixture_with_a_shared_expert_is_one_network() -> None:
    block = subject("qwen3_next").topology.blocks[0]
    assert (block.ffn_in, block.ffn_out) == (("model.layers.0.mlp",), "model.layers.0.mlp")
    assert "ffn_out" in {linear.role for linear in block.linears}


def test_nested_stages_are_looked_through() -> None:
    topology = subject("swin").topology
    assert [block.name for block in topology.blocks] == [
        f"swin.encoder.layers.{name}" for name in ("0.blocks.0", "1.blocks.0", "1.blocks.1")
    ]


def test_a_layer_that_cannot_take_a_method_is_named_with_those_that_can() -> None:
    of_family = subject("qwen3_next")
    with pytest.raises(
        UnsupportedError, match=r"layer 0 of Qwen3NextForCausalLM cannot take prefix: it has no attention .*Layers that can: 1\."
    ):
        resolve(Configuration((PeftModule("prefix", 2, (0, 1)),)), of_family.topology)


@pytest.mark.parametrize(("family", "cross"), [("bert", []), ("t5", [3, 4, 5]), ("bart", [3, 4, 5]), ("whisper", [3, 4, 5])])
def test_cross_attention_is_distinguished(family: str, cross: list[int]) -> None:
    blocks = subject(family).topology.blocks
    assert [block.index for block in blocks for attention in block.attentions if attention.is_cross] == cross


def test_grouped_key_value_heads_are_seen() -> None:
    attention = subject("llama").topology.blocks[0].attentions[0]
    assert (attention.n_heads, attention.n_key_value_heads, attention.key_size, attention.value_size) == (4, 2, 8, 8)


@pytest.mark.parametrize("family", FAMILIES)
def test_json_round_trip(family: str) -> None:
    topology = subject(family).topology
    assert Topology.from_json(topology.to_json()) == topology


@pytest.mark.parametrize(
    ("family", "head"),
    [("bert", {"classifier.weight", "classifier.bias"}), ("llama", {"score.weight"}), ("qwen2", set()), ("t5", set())],
)
def test_the_head_is_what_stands_on_the_backbone(family: str, head: set[str]) -> None:
    assert set(subject(family).topology.head) == head


def test_extra_trainable_joins_the_head() -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    topology = discover(model, batch, extra_trainable=["bert.pooler.dense.weight"])
    assert "bert.pooler.dense.weight" in topology.head
    assert topology.size - topology.head_size == sum(tensor.size for tensor in topology.backbone())
    with pytest.raises(InvalidInputError, match="must name parameters"):
        discover(model, batch, extra_trainable=["pooler"])


def state(model: nn.Module) -> list[tuple[object, ...]]:
    return [(name, id(module), module.training, sorted(vars(module)), id(vars(module).get("config")), len(module._forward_hooks),
             len(module._forward_pre_hooks)) for name, module in model.named_modules()]  # fmt: skip


@pytest.mark.parametrize("broken", [False, True])
def test_no_trace_is_left(broken: bool) -> None:
    model, batch = FAMILIES["bert"].build().train(), FAMILIES["bert"].batch()
    model.bert.encoder.layer[1].eval()
    before = state(model)
    if broken:
        with pytest.raises(UnsupportedError, match="can't be run on an example batch"):
            discover(model, {"input_ids": "no tensor"})
    else:
        discover(model, batch)
    assert state(model) == before


def test_a_model_without_blocks_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="no transformer blocks found"):
        discover(nn.Sequential(nn.Linear(2, 2)), {"input": torch.ones(1, 2)})


def test_digests_tell_weights_apart_but_not_their_type() -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    before = discover(model, batch)
    assert discover(model.to(torch.bfloat16), batch).tensors == before.tensors
    model.bert.encoder.layer[0].intermediate.dense.weight.data[0, 0] += 1
    after = discover(model, batch)
    assert [new.name for old, new in zip(before.tensors, after.tensors, strict=True) if old != new] == [
        "bert.encoder.layer.0.intermediate.dense.weight"
    ]


def test_what_the_model_itself_raises_on_the_batch_is_said() -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    before = set(dict(model.named_modules()))
    with pytest.raises(UnsupportedError, match=r"can't be run on an example batch: IndexError.*BertForSequenceClassification"):
        discover(model, {**batch, "input_ids": batch["input_ids"] + 1000})
    assert set(dict(model.named_modules())) == before
    assert discover(model, batch).n_layers == 3


SOUND = {
    "do_stable_layer_norm": True,
    "conv_dim": (16, 16),
    "conv_stride": (5, 2),
    "conv_kernel": (10, 3),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}
TEXT = {"vocab_size": 20, "max_position_embeddings": 30}


@pytest.mark.parametrize(
    ("model", "config", "more"),
    [(hf.Wav2Vec2Model, hf.Wav2Vec2Config, SOUND), (hf.RobertaPreLayerNormModel, hf.RobertaPreLayerNormConfig, TEXT)],
    ids=["wav2vec2", "roberta"],
)
def test_layers_that_are_named_after_their_norms_are_none(model: Any, config: Any, more: dict[str, Any]) -> None:
    torch.manual_seed(0)
    built = model(config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, **more)).eval()
    is_sound = model is hf.Wav2Vec2Model
    batches = [{"input_values": torch.randn(2, 30 * n)} if is_sound else {"input_ids": torch.full((2, n), 5)} for n in (9, 7)]
    topology = discover(built, batches[0])
    assert [(block.is_post_norm, len(block.ffn_in), bool(block.ffn_out)) for block in topology.blocks] == [(False, 1, True)] * 2
    before = [built(**batch).last_hidden_state for batch in batches]
    apply(built, Configuration((PeftModule("parallel_adapter", 4, (0, 1)), PeftModule("serial_adapter", 4, (0, 1)))), topology=topology)
    for batch, hidden in zip(batches, before, strict=True):  # fresh adapters change nothing, whatever the lengths of batches
        assert torch.allclose(built(**batch).last_hidden_state, hidden, atol=1e-5)
