"""What a model is made of, as plain data.

A `Topology` is found once per backbone by `autopeft.methods.discovery` and then crosses processes as JSON: a process that never
imports torch can check configurations and count their parameters with it. Modules are referred to by their full names, so that one
topology serves every injection into the model, whatever wraps its modules meanwhile.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal, Self

Role = Literal["query", "key", "value", "query_key_value", "attention_output", "ffn_in", "ffn_out", "other"]
ROLES: tuple[Role, ...] = ("query", "key", "value", "query_key_value", "attention_output", "ffn_in", "ffn_out", "other")
"""What a linear does in its block. A fused query_key_value linear stands in for query, key and value where a block has no others."""

ALL_ROLES = "all"
"""The target that means every linear of a block."""


def unwrapped(name: str) -> str:
    """Return what a parameter was called before methods wrapped its linear, one around the other where there are several."""
    return ".".join(part for part in name.split(".") if part != "base_layer")


@dataclass(frozen=True)
class Linear:
    """A linear map inside a block."""

    name: str
    """Full name of the module in the model."""
    role: Role
    fan_in: int
    fan_out: int
    has_bias: bool
    transposed: bool
    """Whether the weight is stored as fan_in x fan_out (the Conv1D of GPT-2) and not as fan_out x fan_in."""


@dataclass(frozen=True)
class Attention:
    """An attention module that calls transformers' attention interface."""

    name: str
    n_heads: int
    n_key_value_heads: int
    key_size: int
    """Width of one head's keys."""
    value_size: int
    """Width of one head's values."""
    is_cross: bool
    """Whether it attends to another stack's output."""


@dataclass(frozen=True)
class Block:
    """One transformer block, the unit that a configuration calls a layer."""

    index: int
    """The layer's number in configurations, counted over all stacks: a decoder's first block follows the encoder's last."""
    stack: str
    """Name of the module that holds the block and its siblings."""
    name: str
    hidden_size: int
    ffn_in: tuple[str, ...]
    """Modules that read the FFN's input; a mixture of experts is one module, in both fields. Empty: no FFN was found."""
    ffn_out: str
    """Module that writes the FFN's output. Empty: no FFN was found."""
    last_norm: str
    """The norm whose output is the block's output. Empty in pre-norm blocks."""
    linears: tuple[Linear, ...]
    attentions: tuple[Attention, ...]

    @property
    def is_post_norm(self) -> bool:
        """Whether a norm follows the last residual sum."""
        return bool(self.last_norm)

    def select(self, targets: Collection[str]) -> tuple[Linear, ...]:
        """Return the linears of some roles, in the model's order."""
        key = tuple(targets)
        if key not in self._selected:
            self._selected[key] = self._select(targets)
        return self._selected[key]

    @cached_property
    def _selected(self) -> dict[tuple[str, ...], tuple[Linear, ...]]:
        """What was selected before: a search counts the same linears many thousand times."""
        return {}

    def _select(self, targets: Collection[str]) -> tuple[Linear, ...]:
        if ALL_ROLES in targets:
            return self.linears
        parts = {"query", "key", "value"}
        fused = bool(parts & set(targets)) and not any(linear.role in parts for linear in self.linears)
        roles = {*targets, "query_key_value"} if fused else set(targets)
        return tuple(linear for linear in self.linears if linear.role in roles)


@dataclass(frozen=True)
class Tensor:
    """One parameter of the model."""

    name: str
    shape: tuple[int, ...]
    """Of a quantised weight the shape of the weight that it stands for."""
    block: int | None
    """Index of the block that holds it, None outside the blocks."""
    is_bias: bool
    is_norm: bool
    """Whether it belongs to a normalisation layer."""
    is_fixed: bool
    """Whether the model itself keeps it as it is, such as sinusoidal positions: it required no gradient where others did."""
    digest: str
    """Fingerprint of its values, see `autopeft.methods.fingerprint`. Empty for the task head."""
    quantisation: str = ""
    """How it is quantised, such as "nf4"; empty if it is not."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True)
class Topology:
    """A model's blocks and parameters."""

    model_class: str
    model_name: str
    """The name or folder that the model was loaded from; says nothing about its weights."""
    input_name: str
    """The model's main input, such as "input_ids" or "pixel_values"."""
    embedding: str
    """Full name of the module that embeds `input_ids`. Empty where there is none."""
    blocks: tuple[Block, ...]
    tensors: tuple[Tensor, ...]
    head: tuple[str, ...]
    """Names of the parameters that are trained along with every configuration: the task head, newly initialised weights."""

    @property
    def n_layers(self) -> int:
        """Number of blocks over all stacks."""
        return len(self.blocks)

    @property
    def hidden_size(self) -> int:
        """Width of the first block; 0 without blocks."""
        return self.blocks[0].hidden_size if self.blocks else 0

    @cached_property
    def layers(self) -> frozenset[int]:
        """The blocks' indices."""
        return frozenset(block.index for block in self.blocks)

    @cached_property
    def size(self) -> int:
        """Number of the model's parameters, head included."""
        return sum(tensor.size for tensor in self.tensors)

    @cached_property
    def head_size(self) -> int:
        """Number of the head's parameters."""
        head = set(self.head)
        return sum(tensor.size for tensor in self.tensors if tensor.name in head)

    @cached_property
    def schemes(self) -> frozenset[str]:
        """How weights are quantised, such as "nf4"; empty if none is."""
        return frozenset(tensor.quantisation for tensor in self.tensors) - {""}

    @property
    def quantisation(self) -> str:
        """The same in one text, with commas between several; empty if none is."""
        return ", ".join(sorted(self.schemes))

    def layer_of(self, parameter: str) -> int | None:
        """Return the index of the block that holds a parameter of this name, one of a module among them; None outside the blocks."""
        return next((block.index for block in self.blocks if parameter.startswith(f"{block.name}.")), None)

    def is_above(self, parameter: str) -> bool:
        """Whether one of the model's own parameters outside the blocks stands above them, in the order in which the model has them."""
        return parameter in self._above

    @cached_property
    def _above(self) -> frozenset[str]:
        first = next((index for index, tensor in enumerate(self.tensors) if tensor.block is not None), len(self.tensors))
        return frozenset(tensor.name for tensor in self.tensors[first:] if tensor.block is None)

    def placed(self, layers: Collection[int] | None) -> tuple[Block, ...]:
        """Return the blocks with these indices; all for None."""
        if layers is None:
            return self.blocks
        wanted = frozenset(layers)
        return tuple(block for block in self.blocks if block.index in wanted)

    def linears(self, layers: Collection[int] | None, targets: Collection[str]) -> Iterator[Linear]:
        """Yield the linears of some roles in some layers, in the model's order."""
        for block in self.placed(layers):
            yield from block.select(targets)

    def backbone(self) -> Iterator[Tensor]:
        """Yield the parameters outside the head."""
        head = set(self.head)
        return (tensor for tensor in self.tensors if tensor.name not in head)

    def to_json(self) -> str:
        """Return JSON text that `from_json` reads back."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the JSON text of `to_json`."""
        data = json.loads(text)
        return cls(
            **data
            | {
                "blocks": tuple(_read_block(block) for block in data["blocks"]),
                "tensors": tuple(Tensor(**tensor | {"shape": tuple(tensor["shape"])}) for tensor in data["tensors"]),
                "head": tuple(data["head"]),
            }
        )


def _read_block(data: Mapping[str, Any]) -> Block:
    return Block(
        **{
            **data,
            "ffn_in": tuple(data["ffn_in"]),
            "linears": tuple(Linear(**linear) for linear in data["linears"]),
            "attentions": tuple(Attention(**attention) for attention in data["attentions"]),
        }
    )
