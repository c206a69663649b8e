"""Find out what a model is made of, from its module tree and one forward pass, without a table of model families.

Blocks are the members of the innermost module lists in which one holds attention and a feed-forward network, and, where no list has such a
member, of those that mix tokens by a recurrence. What happens inside a block is watched while a tiny real batch runs: the width of its
output, whether that output is a norm's (post-norm), and the shapes of the keys and values that reach the attention interface.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.pytorch_utils import Conv1D

from autopeft.errors import InvalidInputError, UnsupportedError, in_one_line
from autopeft.methods.attention import backend, redirect
from autopeft.methods.fingerprint import parameter_digest
from autopeft.methods.head import head_parameter_names, parameters_not_loaded
from autopeft.methods.outputs import first_tensor
from autopeft.methods.quantised import keep_as_packed, quantised
from autopeft.methods.snapshot import Snapshot
from autopeft.methods.topology import Attention, Block, Linear, Role, Tensor, Topology

_ROLE_OF_LEAF: tuple[tuple[Role, str], ...] = (
    ("query", r"q|query|q_proj|q_lin|query_proj"),
    ("key", r"k|key|k_proj|k_lin|key_proj"),
    ("value", r"v|value|v_proj|v_lin|value_proj"),
    ("query_key_value", r"c_attn|Wqkv|qkv|qkv_proj|query_key_value|in_proj"),
)
"""The words in which model code names the projections inside an attention module."""


def discover(model: nn.Module, batch: Mapping[str, Any], *, extra_trainable: Sequence[str] = ()) -> Topology:
    """Return the topology of a model that carries no PEFT modules.

    The model is left as it was, also when the forward pass fails.

    Args:
        model: A transformers model.
        batch: A tiny real batch, as keyword arguments of the model's forward pass, on the model's device.
        extra_trainable: Names of parameters beside the task head that every configuration trains. What the model's checkpoint lacked is
            found by itself, with a warning that names it.

    Raises:
        InvalidInputError: The model carries PEFT modules already, or has no parameter of a name in `extra_trainable`.
        UnsupportedError: The model has no transformer blocks, or raises an error on the batch.
    """
    if hasattr(model, "autopeft_applied"):
        raise InvalidInputError("the model carries PEFT modules already", remedy="Eject them first, or join the configurations.")
    blocks = _find_blocks(model)
    if not blocks:
        raise UnsupportedError("no transformer blocks found", value=type(model).__name__)
    observed = _observe(model, batch, blocks)
    head = _head(model, extra_trainable)
    described = tuple(_describe(index, name, module, observed) for index, (name, module) in enumerate(blocks.items()))
    config = getattr(model, "config", None)
    return Topology(
        model_class=type(model).__name__,
        model_name=str(getattr(config, "_name_or_path", "")),
        input_name=str(getattr(model, "main_input_name", "input_ids")),
        embedding=_embedding(model),
        blocks=described,
        tensors=_tensors(model, described, frozenset(head)),
        head=head,
    )


@dataclass
class _Observed:
    """What one forward pass showed, by full module name."""

    hidden_size: dict[str, int] = field(default_factory=dict)
    last_norm: dict[str, str] = field(default_factory=dict)
    attentions: dict[str, Attention] = field(default_factory=dict)
    cross: set[str] = field(default_factory=set)


def _observe(model: nn.Module, batch: Mapping[str, Any], blocks: Mapping[str, nn.Module]) -> _Observed:
    observed = _Observed()
    snapshot = Snapshot(model)
    try:
        model.eval()
        keep_as_packed(model)
        for name, block in blocks.items():
            _watch(name, block, observed)
        with torch.no_grad():
            model(**batch)
    except Exception as error:  # whatever the model's own code raises
        raise UnsupportedError(f"the model can't be run on an example batch: {in_one_line(error)}", value=type(model).__name__) from error
    finally:
        snapshot.restore()
    return observed


def _watch(block_name: str, block: nn.Module, observed: _Observed) -> None:
    """Place the observers of one block; the caller's snapshot removes them."""
    norm_outputs: dict[str, Any] = {}

    def after_norm(name: str, output: Any) -> None:
        norm_outputs[name] = output

    def after_block(module: nn.Module, args: Any, output: Any) -> None:
        hidden = first_tensor(output)
        observed.hidden_size[block_name] = hidden.shape[-1]
        observed.last_norm[block_name] = next((name for name, seen in norm_outputs.items() if seen is hidden), "")
        norm_outputs.clear()

    for name, module in block.named_modules(prefix=block_name):
        if is_norm(module):
            module.register_forward_hook(lambda _, __, output, name=name: after_norm(name, output))
        if _is_attention(module):
            module.register_forward_pre_hook(lambda _, __, kwargs, name=name: _note_cross(name, kwargs, observed), with_kwargs=True)
            if hasattr(module, "config"):
                redirect(module, _recorder(name, observed))
    block.register_forward_hook(after_block)


def _note_cross(name: str, kwargs: Mapping[str, Any], observed: _Observed) -> None:
    if kwargs.get("key_value_states") is not None or kwargs.get("encoder_hidden_states") is not None:
        observed.cross.add(name)


def _recorder(name: str, observed: _Observed) -> Any:
    def record(
        module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        observed.attentions[name] = Attention(name, query.shape[1], key.shape[1], key.shape[-1], value.shape[-1], is_cross=False)
        return backend(module)[1](module, query, key, value, *args, **kwargs)

    return record


def _find_blocks(model: nn.Module) -> dict[str, nn.Module]:
    """Return the blocks by full name, in the model's order.

    A stack of blocks is a module list with a member that holds attention and a feed-forward network; of nested ones the innermost
    counts, such as the blocks of a stage. All its members are blocks, also those of a hybrid that mix tokens in another way.
    """
    lists = {name: dict(module.named_children()) for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    for is_member in (_is_attention_block, _is_recurrent_block):
        stacks = [name for name, members in lists.items() if any(map(is_member, members.values()))]
        innermost = [name for name in stacks if not any(other.startswith(f"{name}.") for other in stacks)]
        if innermost:
            return {
                f"{name}.{key}": member
                for name in innermost
                for key, member in lists[name].items()
                if next(member.parameters(), None) is not None
            }
    found = {name: module for name, module in model.named_modules() if _is_checkpointed(module) and _holds_attention(module)}
    return {name: module for name, module in found.items() if not any(name.startswith(f"{other}.") for other in found)}


def _is_checkpointed(module: nn.Module) -> bool:
    return isinstance(module, GradientCheckpointingLayer)


def _is_attention_block(module: nn.Module) -> bool:
    if _is_checkpointed(module):
        return _holds_attention(module)
    parts = [part for _, part in _parts(module)]
    return any(map(_holds_attention, parts)) and any(
        _is_linear(inner) for part in parts if not _holds_attention(part) for inner in part.modules()
    )


def _is_recurrent_block(module: nn.Module) -> bool:
    return _is_checkpointed(module) and _is_recurrent(module)


def _parts(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield a module's children with their names below it, those of module lists among them."""
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            yield from _parts(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def _is_attention(module: nn.Module) -> bool:
    return re.search("attention|attn", type(module).__name__, re.IGNORECASE) is not None


def _holds_attention(module: nn.Module) -> bool:
    return any(map(_is_attention, module.modules()))


def _is_recurrent(module: nn.Module) -> bool:
    """Whether a module mixes tokens by a recurrence or a short convolution: these start with a convolution of each channel by itself."""
    return any(isinstance(inner, nn.Conv1d) and inner.groups == inner.in_channels > 1 for inner in module.modules())


def _mixes_tokens(module: nn.Module) -> bool:
    return _holds_attention(module) or _is_recurrent(module)


def is_norm(module: nn.Module) -> bool:
    """Whether a module normalises; every library calls such a class something with Norm.

    Whole layers may be called after their norms too, such as wav2vec2's with a stable layer norm: these hold other modules.
    """
    return "Norm" in type(module).__name__ and all(map(is_norm, module.children()))


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | Conv1D)


def _describe(index: int, name: str, module: nn.Module, observed: _Observed) -> Block:
    if name not in observed.hidden_size:
        raise UnsupportedError("a block took no part in the forward pass", value=name, remedy="Give a batch that runs the whole model.")
    hidden_size = observed.hidden_size[name]
    beside = _beside(name, module)
    ffn_linears = _ffn_linears(beside, hidden_size)
    ffn_in, ffn_out = _ffn_places(beside, *ffn_linears)
    return Block(
        index=index,
        stack=re.sub(r"\.\d+$", "", name),
        name=name,
        hidden_size=hidden_size,
        ffn_in=ffn_in,
        ffn_out=ffn_out,
        last_norm=observed.last_norm[name],
        linears=tuple(_linears(name, module, *ffn_linears)),
        attentions=tuple(_attentions(name, observed)),
    )


def _beside(block_name: str, block: nn.Module) -> dict[str, nn.Module]:
    """Return what a block has beside its norms and what mixes tokens, by full name: its feed-forward network."""
    return {f"{block_name}.{name}": part for name, part in _parts(block) if not _mixes_tokens(part) and not is_norm(part)}


def _ffn_linears(beside: Mapping[str, nn.Module], hidden_size: int) -> tuple[tuple[str, ...], str]:
    """Return the linears where a feed-forward network begins and ends, found by their widths; nothing where it has no such linears."""
    shapes = {full: _fan(linear) for name, part in beside.items() for full, linear in _named_linears(name, part)}
    ends = [name for name, (_, fan_out) in shapes.items() if fan_out == hidden_size]
    starts = [name for name, (fan_in, _) in shapes.items() if fan_in == hidden_size and name not in ends[-1:]]
    return (tuple(starts), ends[-1]) if ends and starts else ((), "")


def _ffn_places(beside: Mapping[str, nn.Module], ffn_in: tuple[str, ...], ffn_out: str) -> tuple[tuple[str, ...], str]:
    """Return the modules that read a feed-forward network's input and write its output.

    Experts keep their weights in stacked tensors: such a network is taken as a whole, with an expert of linears that all tokens share.
    """
    owner = next((name for name in beside if ffn_out.startswith(f"{name}.")), "") if ffn_out else _largest(beside)
    if owner and (not ffn_out or _has_stacked_weights(beside[owner])):
        return (owner,), owner
    return ffn_in, ffn_out


def _largest(parts: Mapping[str, nn.Module]) -> str:
    sizes = {name: sum(parameter.numel() for parameter in part.parameters()) for name, part in parts.items()}
    largest = max(sizes, key=lambda name: sizes[name], default="")
    return largest if sizes.get(largest) else ""


def _has_stacked_weights(part: nn.Module) -> bool:
    return any(
        parameter.dim() == 3
        for module in part.modules()
        if not isinstance(module, nn.Conv1d)
        for parameter in module.parameters(recurse=False)
    )


def _named_linears(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((full, inner) for full, inner in module.named_modules(prefix=name) if _is_linear(inner))


def _fan(linear: nn.Module) -> tuple[int, int]:
    """Return a linear's widths in and out."""
    if isinstance(linear, Conv1D):
        return linear.weight.shape[0], linear.weight.shape[1]
    return linear.in_features, linear.out_features  # type: ignore[return-value]


def _linears(block_name: str, block: nn.Module, ffn_in: tuple[str, ...], ffn_out: str) -> Iterator[Linear]:
    for part_name, part in _parts(block):
        linears = dict(_named_linears(f"{block_name}.{part_name}", part))
        if _holds_attention(part):
            roles = _attention_roles(tuple(linears))
        elif _is_recurrent(part):
            roles = _recurrent_roles(part, linears)
            linears = {name: linear for name, linear in linears.items() if name in roles}
        else:
            roles = {name: "ffn_out" if name == ffn_out else "ffn_in" if name in ffn_in else "other" for name in linears}
        for name, linear in linears.items():
            yield Linear(name, roles[name], *_fan(linear), linear.bias is not None, isinstance(linear, Conv1D))


def _attention_roles(names: tuple[str, ...]) -> dict[str, Role]:
    """Tell the projections of one attention by their names; the last of the others writes its output."""
    roles = {name: next((role for role, words in _ROLE_OF_LEAF if re.fullmatch(words, name.rsplit(".", 1)[-1])), None) for name in names}
    output = next((name for name in reversed(names) if roles[name] is None), "")
    return {name: role or ("attention_output" if name == output else "other") for name, role in roles.items()}


def _recurrent_roles(part: nn.Module, linears: Mapping[str, nn.Module]) -> dict[str, Role]:
    """Tell the projections that modules may change: the widest at the start makes what attention calls query, key and value.

    On GPUs, Mamba's kernels read the weights of every other projection themselves, and what is wrapped around these would not act.
    """
    names = list(linears)
    widest = max(names, key=lambda name: _fan(linears[name])[1], default="")
    if any(re.search("mamba", type(inner).__name__, re.IGNORECASE) for inner in part.modules()):
        return {widest: "query_key_value"} if widest else {}
    output = next((name for name in names if "out" in name.rsplit(".", 1)[-1]), names[-1] if names else "")
    return {name: "query_key_value" if name == widest else "attention_output" if name == output else "other" for name in names}


def _attentions(block_name: str, observed: _Observed) -> Iterator[Attention]:
    for name, seen in observed.attentions.items():
        if name.startswith(f"{block_name}."):
            is_cross = any(name == other or name.startswith(f"{other}.") for other in observed.cross)
            yield Attention(name, seen.n_heads, seen.n_key_value_heads, seen.key_size, seen.value_size, is_cross)


def _embedding(model: nn.Module) -> str:
    get = getattr(model, "get_input_embeddings", None)
    if get is None or getattr(model, "main_input_name", "input_ids") != "input_ids":
        return ""
    embedding = get()
    return next((name for name, module in model.named_modules() if module is embedding), "")


def _head(model: nn.Module, extra_trainable: Sequence[str]) -> tuple[str, ...]:
    names = [name for name, _ in model.named_parameters()]
    if unknown := set(extra_trainable) - set(names):
        raise InvalidInputError("extra_trainable must name parameters of the model", value=sorted(unknown))
    chosen = {*head_parameter_names(model), *extra_trainable}
    lacking = [name for name in parameters_not_loaded(model) if name not in chosen]
    if lacking:
        patterns = dict.fromkeys(re.sub(r"\.\d+(?=\.)", ".*", name) for name in lacking)
        warnings.warn(
            f"the model's checkpoint lacked {len(lacking)} parameters outside the task head, which are random: {', '.join(patterns)}. "
            "They are trained and saved with the modules.",
            stacklevel=2,
        )
    return tuple(name for name in names if name in chosen or name in lacking)


def _tensors(model: nn.Module, blocks: Sequence[Block], head: frozenset[str]) -> tuple[Tensor, ...]:
    all_frozen = not any(parameter.requires_grad for parameter in model.parameters())
    norms = {name for name, module in model.named_modules() if is_norm(module)}

    def describe(name: str, parameter: nn.Parameter) -> Tensor:
        owner_name, _, leaf = name.rpartition(".")
        owner = model.get_submodule(owner_name)
        kept = quantised(owner, parameter)
        return Tensor(
            name=name,
            shape=tuple(parameter.shape) if kept is None else kept.shape,
            block=next((block.index for block in blocks if name.startswith(f"{block.name}.")), None),
            is_bias=leaf == "bias",
            is_norm=owner_name in norms,
            is_fixed=not (parameter.requires_grad or all_frozen),
            digest="" if name in head else parameter_digest(owner, parameter),
            quantisation="" if kept is None else kept.scheme,
        )

    return tuple(describe(name, parameter) for name, parameter in model.named_parameters())
