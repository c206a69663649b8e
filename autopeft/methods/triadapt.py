"""Triangular adaptive low-rank adaptation (TriAdaptLoRA: Liang et al., 2025, arXiv 2501.08008): ranks grow where their matrices do.

A target's weight becomes W + s B (L + U) A with A r x i, B o x r, and L and U lower and upper triangular, diagonals included. L and U are
zero at first. Of the r ranks that a target may reach rho are in use, at first one: the leading rho rows of A and columns of B, and the
leading rho x rho parts of L and U. Another rank is a row more of L and a column more of U, both zero, so that growing leaves the weight as
it is; s is the same throughout for that reason.

Growth: by the share G of the steps the mean rank reaches its target. In between there are allocations; in each the targets of the
largest importance get a rank more, a target's importance being what |L + U|_F / rho has gained since the last one. At step t
floor((R - R_t) t / (G T)) of them do, and one at least: R_t is the total rank then, R the one aimed at, T the number of steps. The last
allocation fills up what is missing.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autopeft.configuration import PeftModule
from autopeft.methods.changed_weight import AddedUpdates
from autopeft.methods.hook import TrainingHook
from autopeft.methods.topology import Topology
from autopeft.methods.weight_forms import mean_rank

SCALE = 2.0
"""The factor s."""
N_ALLOCATIONS = 20
"""At most so many times do ranks grow."""


class Triangular(nn.Module):
    """The change of one weight.

    Args:
        weight: W, in either orientation; "rows" and "columns" are its own.
        rank: r, the highest that it may reach.
    """

    rank: Tensor

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        (n_rows, n_columns), device = weight.shape, weight.device
        self.right = nn.Parameter(torch.empty(rank, n_columns, device=device))
        self.left = nn.Parameter(torch.randn(n_rows, rank, device=device) * rank**-0.5)
        self.lower = nn.Parameter(torch.zeros(rank * (rank + 1) // 2, device=device))
        self.upper = nn.Parameter(torch.zeros(rank * (rank + 1) // 2, device=device))
        nn.init.kaiming_uniform_(self.right, a=math.sqrt(5))
        self.register_buffer("rank", torch.ones((), dtype=torch.long, device=device), persistent=False)

    @property
    def highest(self) -> int:
        """The highest rank, r."""
        return len(self.right)

    def core(self) -> Tensor:
        """Return L + U within the ranks in use, r x r."""
        lower = torch.tril_indices(self.highest, self.highest, device=self.lower.device)
        rows, columns = torch.cat([lower, lower.flip(0)], dim=1)
        used = (torch.arange(self.highest, device=self.rank.device) < self.rank).to(self.lower.dtype)
        dense = torch.zeros(self.highest, self.highest, device=used.device, dtype=used.dtype)
        return dense.index_put((rows, columns), torch.cat([self.lower, self.upper]), accumulate=True) * used * used[:, None]

    def forward(self) -> Tensor:
        """Return the change of the weight."""
        return SCALE * self.left @ self.core() @ self.right

    @torch.no_grad()
    def size(self) -> float:
        """Return |L + U|_F / rho."""
        return float(self.core().norm() / self.rank)


class RankGrowth(TrainingHook):
    """The growth of the ranks of one module's targets.

    Args:
        updates: Their changes.
        target: The mean rank that they reach.
        share: G.
    """

    def __init__(self, updates: Sequence[Triangular], target: int, share: float) -> None:
        self._updates = updates
        self._total, self._share = target * len(updates), share
        self._sizes = [0.0] * len(updates)
        self._until, self._interval = 1, 1

    def start(self, n_steps: int, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Fit the allocations into a training."""
        self._until = max(1, round(self._share * n_steps))
        self._interval = max(1, self._until // N_ALLOCATIONS)

    def after_step(self, step: int) -> None:
        """Let ranks grow."""
        n_done = step + 1
        if n_done > self._until or (n_done % self._interval and n_done < self._until):
            return
        sizes = [update.size() for update in self._updates]
        gains = [size - last for size, last in zip(sizes, self._sizes, strict=True)]
        self._sizes = sizes
        missing = self._missing()
        self._grow(gains, min(missing, max(1, int(missing * n_done / self._until))))
        while n_done == self._until and (missing := self._missing()) > 0:
            self._grow(gains, missing)

    def _missing(self) -> int:
        return self._total - sum(int(update.rank) for update in self._updates)

    def _grow(self, gains: Sequence[float], n_grown: int) -> None:
        """Give a rank more to so many of the targets, those with the largest gains among those that may grow."""
        able = [index for index, update in enumerate(self._updates) if int(update.rank) < update.highest]
        for index in sorted(able, key=lambda index: -gains[index])[:n_grown]:
            self._updates[index].rank += 1

    def may_be_kept(self, n_steps: int) -> bool:
        """Whether the ranks are what they will be."""
        return n_steps >= self._until

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the ranks."""
        return {f"rank.{number}": update.rank for number, update in enumerate(self._updates)}

    def state_dict(self) -> Mapping[str, Any]:
        """Return the ranks, and the sizes at the last allocation."""
        return {**self.tensors(), "sizes": list(self._sizes)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        for name, rank in self.tensors().items():
            rank.copy_(state[name])
        self._sizes = list(state["sizes"])


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> RankGrowth:
    """Let the targets compute with their changes."""
    linears = {linear.name: model.get_submodule(linear.name) for linear in topology.linears(module.layers, module.targets)}
    change = AddedUpdates(linears, "autopeft_triadapt")
    updates = []
    for index, linear in enumerate(linears.values()):
        update = Triangular(change.weight(index), module.size)
        linear.autopeft_triadapt = update
        updates.append(update)
    model.get_submodule(topology.placed(module.layers)[0].name).autopeft_triadapt_change = change
    return RankGrowth(updates, mean_rank(module), float(module.options["grown_after"]))
