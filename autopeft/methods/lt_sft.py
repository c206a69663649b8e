"""Lottery-ticket sparse fine-tuning (LT-SFT: Ansell et al., 2022, arXiv 2110.07560, section 3).

All weights theta of the targets are trained first; the K entries with the largest |theta - theta_0| are the winning ticket. They go back to
theta_0 with all others, and are trained alone: theta = theta_0 + m * delta, m being the mask of these entries. In both stages the
task's loss has lambda / N |theta - theta_0|_1 added to it, N being the number of entries trained, lambda 0.1.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from autopeft.configuration import PeftModule
from autopeft.methods.changed_weight import WeightChange
from autopeft.methods.selection import Selected, Selection
from autopeft.methods.topology import Topology
from autopeft.methods.weight_forms import sparse_entries

L1_PENALTY = 0.1
"""The factor lambda."""


class SparseChange(WeightChange):
    """The change of K entries of some linears' weights; the entries of all follow each other.

    Args:
        linears: The linears, by name.
        n_entries: K.
    """

    def __init__(self, linears: dict[str, nn.Module], n_entries: int) -> None:
        super().__init__(linears)
        sizes = [self.weight(index).numel() for index in range(len(self.linears))]
        self._bounds = list(accumulate(sizes, initial=0))
        self.selected = Selected((n_entries,), sum(sizes), self.weight(0).device)
        self.dense: list[nn.Parameter] = []
        """The change of all entries, in the first stage; no members, for they are not kept."""

    def changed(self, index: int) -> Tensor:
        """Return a linear's weight with its change."""
        weight = self.weight(index)
        if self.dense:
            return weight + self.dense[index].to(weight.dtype)
        entries, values = self.selected.within(self._bounds[index], self._bounds[index + 1])
        change = torch.zeros(weight.numel(), device=weight.device, dtype=values.dtype).index_add(0, entries, values)
        return weight + change.view(weight.shape).to(weight.dtype)


class LotteryTicket(Selection):
    """The two stages of LT-SFT.

    Args:
        change: What is trained.
        share: Share of the steps that the first stage takes.
    """

    def __init__(self, change: SparseChange, share: float) -> None:
        super().__init__(change.selected, share)
        self._change = change

    def make_temporary(self) -> Sequence[nn.Parameter]:
        """Make a dense change of every target."""
        weights = [self._change.weight(index) for index in range(len(self._change.linears))]
        self._change.dense = [nn.Parameter(torch.zeros_like(weight, dtype=torch.float32)) for weight in weights]
        return self._change.dense

    def drop_temporary(self) -> None:
        """Rewind."""
        self._change.dense = []

    def scores(self) -> Tensor:
        """Return how far each entry went."""
        return torch.cat([change.detach().abs().flatten() for change in self._change.dense])

    def extra_loss(self) -> Tensor:
        """Return the penalty on leaving the model as it was."""
        if not self._change.dense:
            return L1_PENALTY * self._change.selected.values.abs().mean()
        total = torch.stack([change.abs().sum() for change in self._change.dense]).sum()
        return L1_PENALTY * total / self._change.selected.n_places


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> LotteryTicket:
    """Let the targets compute with a sparse change of their weights."""
    linears = {linear.name: model.get_submodule(linear.name) for linear in topology.linears(module.layers, module.targets)}
    change = SparseChange(linears, sparse_entries(module, topology))
    model.get_submodule(topology.placed(module.layers)[0].name).autopeft_lt_sft = change
    return LotteryTicket(change, float(module.options["first_stage"]))
