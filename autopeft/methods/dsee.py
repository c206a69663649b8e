"""Dually sparse-embedded updates (DSEE: Chen et al., 2021, arXiv 2111.00160, section 3.2): W_0 + s U V + S, S zero outside N fixed entries.

The entries are those that no low-rank matrix accounts for: of min |W_0 - L - R|_F over L of rank r and R of N non-zero entries, they are
R's. It is solved by turns, R keeping the N largest entries of W_0 - L and L the r largest singular values of W_0 - R, as the paper's
solver does greedily. V is random and U and S are zero at first; s = alpha / r as in LoRA, with alpha = 2r.

This is the sparse update; the paper's other half, a sparse W_0 for cheaper inference, is left out: pruned weights save nothing here.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from autopeft.configuration import PeftModule
from autopeft.methods.changed_weight import AddedUpdates
from autopeft.methods.hook import TrainingHook
from autopeft.methods.topology import Topology

SCALE = 2.0
"""The factor s."""
N_TURNS = 5
_EXACT_WIDTH = 512
"""Up to this width singular values are computed exactly; beyond, by a random projection."""


class DuallySparse(nn.Module):
    """The update of one linear.

    Args:
        weight: W_0, in either orientation.
        rank: r.
        n_entries: N.
    """

    entries: Tensor

    def __init__(self, weight: Tensor, rank: int, n_entries: int) -> None:
        super().__init__()
        n_rows, n_columns = weight.shape
        self.right = nn.Parameter(torch.empty(rank, n_columns, device=weight.device))
        self.left = nn.Parameter(torch.zeros(n_rows, rank, device=weight.device))
        self.values = nn.Parameter(torch.zeros(n_entries, device=weight.device))
        nn.init.kaiming_uniform_(self.right, a=math.sqrt(5))
        self.register_buffer("entries", residual_entries(weight, rank, n_entries), persistent=False)

    def forward(self) -> Tensor:
        """Return the change of the weight."""
        change = (SCALE * self.left @ self.right).to(self.values.dtype)  # autocast makes products narrower
        return change.flatten().index_add(0, self.entries, self.values).view_as(change)


@torch.no_grad()
def residual_entries(weight: Tensor, rank: int, n_entries: int) -> Tensor:
    """Return the N entries of a matrix, counted row by row, that a matrix of low rank leaves over."""
    whole = weight.detach().float()
    low_rank = torch.zeros_like(whole)
    chosen = torch.zeros(0, dtype=torch.long)
    for _ in range(N_TURNS):
        low_rank = _truncated(whole - _kept(whole - low_rank, n_entries)[0], rank)
        chosen = _kept(whole - low_rank, n_entries)[1]
    return chosen.sort().values


def _kept(matrix: Tensor, n_entries: int) -> tuple[Tensor, Tensor]:
    """Return a matrix with its largest entries alone, and which they are."""
    flat = matrix.flatten()
    chosen = flat.abs().topk(n_entries).indices
    return torch.zeros_like(flat).index_copy(0, chosen, flat[chosen]).view_as(matrix), chosen


def _truncated(matrix: Tensor, rank: int) -> Tensor:
    if min(matrix.shape) <= _EXACT_WIDTH:
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        found: Tensor = (left[:, :rank] * values[:rank]) @ right[:rank]
        return found
    left, values, right = torch.svd_lowrank(matrix, q=rank, niter=4)
    return left * values @ right.T


class FixedEntries(TrainingHook):
    """Keeps which entries the updates have: another machine may round a decomposition otherwise."""

    def __init__(self, updates: list[DuallySparse]) -> None:
        self._updates = updates

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the entries."""
        return {f"entries.{number}": update.entries for number, update in enumerate(self._updates)}

    def state_dict(self) -> Mapping[str, Any]:
        """Return the entries."""
        return dict(self.tensors())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the entries."""
        for name, entries in self.tensors().items():
            entries.copy_(state[name])


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> FixedEntries:
    """Let the targets compute with their updates."""
    linears = {linear.name: model.get_submodule(linear.name) for linear in topology.linears(module.layers, module.targets)}
    change = AddedUpdates(linears, "autopeft_dsee")
    updates = []
    for index, linear in enumerate(linears.values()):
        update = DuallySparse(change.weight(index), module.size, int(module.options["entries"]))
        linear.autopeft_dsee = update
        updates.append(update)
    model.get_submodule(topology.placed(module.layers)[0].name).autopeft_dsee_change = change
    return FixedEntries(updates)
