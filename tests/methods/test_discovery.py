import pytest
import torch
from torch import nn

from autopeft.errors import InvalidInputError, UnsupportedError
from autopeft.methods.discovery import discover
from autopeft.methods.topology import Topology

from .families import FAMILIES, subject

POST_NORM = {"bert", "roberta", "electra", "distilbert", "albert", "deberta-v2", "mpnet", "bart", "wav2vec2"}
WITHOUT_INTERFACE = {"deberta-v2", "mpnet"}
FUSED = {"modernbert", "gpt2", "gpt_neox", "phi3"}


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_are_found(family: str) -> None:
    topology = subject(family).topology
    expected = 1 if family == "albert" else 6 if family in {"t5", "bart", "whisper"} else 3
    assert [block.index for block in topology.blocks] == list(range(expected))
    assert {block.hidden_size for block in topology.blocks} == {32}
    assert {block.is_post_norm for block in topology.blocks} == {family in POST_NORM}
    assert all(block.ffn_in and block.ffn_out for block in topology.blocks)
    assert bool(topology.blocks[0].attentions) == (family not in WITHOUT_INTERFACE)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_block_has_each_role(family: str) -> None:
    for block in subject(family).topology.blocks:
        roles = {linear.role for linear in block.linears}
        assert roles >= ({"query_key_value"} if family in FUSED else {"query", "key", "value"}) | {"attention_output"}
        assert ({"ffn_in", "ffn_out"} <= roles) == (family != "qwen3_moe")
        outputs = [linear for linear in block.linears if linear.role == "attention_output"]
        assert len(outputs) == (2 if any(attention.is_cross for attention in block.attentions) else 1)


@pytest.mark.parametrize(("family", "cross"), [("bert", []), ("t5", [3, 4, 5]), ("bart", [3, 4, 5]), ("whisper", [3, 4, 5])])
def test_cross_attention_is_told_apart(family: str, cross: list[int]) -> None:
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
        with pytest.raises((TypeError, ValueError, AttributeError)):
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
