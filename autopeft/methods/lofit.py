"""LoFiT: offsets on the outputs of attention heads (Yin et al., 2024, arXiv 2406.01563).

Two stages. The first trains a factor on every head's output, z <- (1 + A) z, under a penalty lambda sum |A|, and takes the K heads with the
largest |A| (section 3.1, equations 1 and 2). The second trains an offset on these alone, z <- z + v (equation 4). With all heads there is
nothing to select, and only offsets are trained.

In the paper the stages are two trainings, each of several epochs and with a rate of its own, and v is drawn small. Here they share one
training's steps and its rate, so that a trial costs what others do, and v is zero at first.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from autopeft.configuration import PeftModule
from autopeft.methods.attention import edits_of
from autopeft.methods.block_deltas import device_of
from autopeft.methods.closed_forms import selected_heads
from autopeft.methods.hook import TrainingHook
from autopeft.methods.selection import Selected, Selection
from autopeft.methods.topology import Attention, Topology

L1_PENALTY = 5e-4
"""The factor lambda."""
_STANDARD_DEVIATION = 1e-3
"""Of the factors at first: at zero, the penalty has no direction."""


class HeadOffset(nn.Module):
    """An offset for each head's output, zero at first.

    Args:
        n_heads: Number of heads.
        width: Width of one head's output.
    """

    def __init__(self, n_heads: int, width: int) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(n_heads, width))

    def forward(self, output: Tensor) -> Tensor:
        """Return the output, batch x positions x heads x width, with the offsets added."""
        return output + self.offset.to(output.dtype)


class SelectedOffset(nn.Module):
    """The offsets of one attention module's selected heads, or in the first stage the factors of all its heads.

    Args:
        selected: The offsets of all attention modules together, K x width.
        start: Number of heads before this module's.
        n_heads: Number of its heads.
    """

    def __init__(self, selected: Selected, start: int, n_heads: int) -> None:
        super().__init__()
        self._selected = (selected,)  # no member: it stands in the model once
        self._start, self._n_heads = start, n_heads
        self.factors: tuple[nn.Parameter, ...] = ()
        """A, heads x width, in the first stage; no member, for it is not kept."""

    def forward(self, output: Tensor) -> Tensor:
        """Return the edited output, batch x positions x heads x width."""
        if self.factors:
            return output * (1 + self.factors[0]).to(output.dtype)
        heads, offsets = self._selected[0].within(self._start, self._start + self._n_heads)
        added = torch.zeros(self._n_heads, output.shape[-1], device=output.device, dtype=offsets.dtype).index_add(0, heads, offsets)
        return output + added.to(output.dtype)


class HeadSelection(Selection):
    """The two stages of LoFiT.

    Args:
        selected: The offsets.
        edits: Where they act.
        share: Share of the steps that the first stage takes.
    """

    def __init__(self, selected: Selected, edits: Sequence[SelectedOffset], share: float) -> None:
        super().__init__(selected, share)
        self._edits = edits

    def make_temporary(self) -> Sequence[nn.Parameter]:
        """Make a factor for every head."""
        values = self._selected.values
        for edit in self._edits:
            shape = (edit._n_heads, values.shape[1])
            edit.factors = (nn.Parameter(torch.randn(shape, device=values.device) * _STANDARD_DEVIATION),)
        return [edit.factors[0] for edit in self._edits]

    def drop_temporary(self) -> None:
        """Take the factors away."""
        for edit in self._edits:
            edit.factors = ()

    def scores(self) -> Tensor:
        """Return how large each head's factor is."""
        return torch.cat([edit.factors[0].detach().norm(dim=1) for edit in self._edits])

    def extra_loss(self) -> Tensor | None:
        """Return the penalty on the factors."""
        if not self.is_first_stage:
            return None
        return L1_PENALTY * torch.stack([edit.factors[0].abs().sum() for edit in self._edits]).sum()


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> TrainingHook | None:
    """Shift the outputs of heads in the attention modules of the chosen layers; return what selects the heads, if they are selected."""
    attentions = [attention for block in topology.placed(module.layers) for attention in block.attentions]
    if float(module.options["heads"]) == 1.0:
        for attention in attentions:
            offset = HeadOffset(attention.n_heads, attention.value_size).to(device_of(model.get_submodule(attention.name)))
            edits_of(model, attention.name).outputs[module.method] = offset
        return None
    return _inject_selected(model, module, topology, attentions)


def _inject_selected(model: nn.Module, module: PeftModule, topology: Topology, attentions: Sequence[Attention]) -> HeadSelection:
    first = model.get_submodule(topology.placed(module.layers)[0].name)
    starts = list(accumulate((attention.n_heads for attention in attentions), initial=0))
    selected = Selected((selected_heads(module, topology), attentions[0].value_size), starts[-1], device_of(first))
    first.autopeft_lofit = selected
    edits = [SelectedOffset(selected, start, attention.n_heads) for start, attention in zip(starts, attentions, strict=False)]
    for attention, edit in zip(attentions, edits, strict=True):
        edits_of(model, attention.name).outputs[module.method] = edit
    return HeadSelection(selected, edits, float(module.options["first_stage"]))
