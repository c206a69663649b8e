"""SpIEL with accumulated gradients (SpIEL-AG: Ansell et al., 2024, arXiv 2401.16405): sparse changes whose places move while they train.

Of each target's weight K entries are changed: theta = theta_0 + delta at the indices eta. Every S steps some are dropped and as many grown:
in a phase of G steps the K entries with the largest |gradient| in its first step become candidates, and their gradients are added up; then
the p K entries with the smallest |delta| go, and the candidates with the largest |sum of gradients| come, at delta = 0, their moments in
the optimiser set to the means of gradient and squared gradient. The first phase is the first G steps and replaces all; p falls linearly
with the steps from p_0 to 0.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from autopeft.configuration import PeftModule
from autopeft.methods.changed_weight import WeightChange
from autopeft.methods.hook import TrainingHook
from autopeft.methods.topology import Topology
from autopeft.methods.weight_forms import sparse_entries_of

PHASE_STEPS = 5
"""G, the paper's; fewer in a short training."""
INTERVAL_STEPS = 20
"""S, the paper's; less in a short training."""
SHORTEST = 8
"""A training has room for at least so many intervals."""
REPLACED = 0.2
"""p_0, the paper's."""


class SparseEntries(nn.Module):
    """K changed entries of one linear's weight.

    Args:
        n_entries: K.
        n_weights: Entries of the weight.
        device: Where they are.
    """

    indices: Tensor

    def __init__(self, n_entries: int, n_weights: int, device: torch.device) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(n_entries, device=device))
        self.register_buffer("indices", torch.randperm(n_weights)[:n_entries].to(device), persistent=False)


class MovingChange(WeightChange):
    """The changes of all targets.

    Args:
        linears: The targets, by name.
        parts: For each its entries.
    """

    def __init__(self, linears: dict[str, nn.Module], parts: Iterable[SparseEntries]) -> None:
        super().__init__(linears)
        self.parts = tuple(parts)  # no members: each stands in its own layer
        self.watch: dict[int, Any] = {}
        """By the linear's index, what looks at its weight's dense gradient while it is wanted."""

    def changed(self, index: int) -> Tensor:
        """Return a linear's weight with its change."""
        weight, part = self.weight(index), self.parts[index]
        change = torch.zeros(weight.numel(), device=weight.device, dtype=part.values.dtype).index_add(0, part.indices, part.values)
        changed = weight + change.view(weight.shape).to(weight.dtype)
        if index in self.watch and changed.requires_grad:
            changed.register_hook(self.watch[index])  # type: ignore[no-untyped-call]
        return changed

    def fold(self, model: nn.Module) -> None:
        """Write the changes into clones of the weights, and take the entries away."""
        super().fold(model)
        for module in model.modules():
            for name in [name for name, child in module.named_children() if isinstance(child, SparseEntries)]:
                delattr(module, name)


class _Candidates:
    """The candidates of one target, and what their gradients add up to."""

    def __init__(self, n_candidates: int) -> None:
        self._n = n_candidates
        self.indices: Tensor | None = None
        self.step_gradients: Tensor | None = None
        """The whole gradient of the present step, whose parts may come one after the other."""
        self.sums = self.squares = torch.zeros(0)
        self.n_steps = 0

    def add(self, gradient: Tensor) -> None:
        """Take in the gradient of a part of a step."""
        flat = gradient.detach().flatten().float()
        own = flat if self.indices is None else flat[self.indices]
        self.step_gradients = own if self.step_gradients is None else self.step_gradients + own

    def end_step(self) -> None:
        """Add the step's gradient to the sums; the first step says which are the candidates."""
        gradient, self.step_gradients = self.step_gradients, None
        if gradient is None:  # no loss reached the weight
            return
        if self.indices is None:
            self.indices = gradient.abs().topk(min(self._n, len(gradient)), sorted=False).indices
            gradient = gradient[self.indices]
            self.sums = self.squares = torch.zeros_like(gradient)
        self.sums, self.squares, self.n_steps = self.sums + gradient, self.squares + gradient**2, self.n_steps + 1


class Moving(TrainingHook):
    """Drops and grows the entries.

    Args:
        change: The changes.
    """

    def __init__(self, change: MovingChange) -> None:
        self._change = change
        self._candidates: list[_Candidates] = []
        self._n_steps, self._interval, self._phase = 1, INTERVAL_STEPS, PHASE_STEPS
        self._optimizer: torch.optim.Optimizer | None = None

    def start(self, n_steps: int, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Fit the intervals into a training."""
        self._n_steps, self._optimizer = n_steps, optimizer
        self._interval = max(2, min(INTERVAL_STEPS, n_steps // SHORTEST))
        self._phase = max(1, min(PHASE_STEPS, self._interval // 2))

    def before_step(self, step: int) -> None:
        """Look at dense gradients in the steps of a phase."""
        is_watching = step % self._interval < self._phase
        if is_watching and not self._candidates:
            self._candidates = [_Candidates(len(part.values)) for part in self._change.parts]
        self._change.watch = {index: one.add for index, one in enumerate(self._candidates)} if is_watching else {}

    def after_backward(self, step: int) -> None:
        """Add up the gradients of the step."""
        for candidates in self._candidates:
            candidates.end_step()

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Replace entries after the last step of a phase."""
        n_done = step + 1
        if not self._candidates or n_done % self._interval != self._phase % self._interval:
            return
        is_first = n_done == self._phase
        share = 1.0 if is_first else REPLACED * (1 - n_done / self._n_steps)
        for part, candidates in zip(self._change.parts, self._candidates, strict=True):
            if candidates.indices is not None:
                self._replace(part, candidates, int(share * len(part.values)))
        self._candidates, self._change.watch = [], {}

    def _replace(self, part: SparseEntries, candidates: _Candidates, n_replaced: int) -> None:
        assert candidates.indices is not None, "the candidates are chosen"
        dropped = part.values.abs().topk(n_replaced, largest=False).indices
        remaining = torch.ones_like(part.indices, dtype=torch.bool).index_fill(0, dropped, False)
        is_new = ~torch.isin(candidates.indices, part.indices[remaining])
        best = candidates.sums.abs().where(is_new, -1.0).topk(min(n_replaced, int(is_new.sum()))).indices
        grown = candidates.indices[best]
        # What is dropped and grown at once stays as it is.
        stays, returns = torch.isin(part.indices[dropped], grown), torch.isin(grown, part.indices[dropped])
        places = dropped[~stays][: int((~returns).sum())]
        best = best[~returns][: len(places)]
        part.indices[places] = candidates.indices[best]
        part.values[places] = 0.0
        self._set_moments(part.values, places, candidates.sums[best] / candidates.n_steps, candidates.squares[best] / candidates.n_steps)

    def _set_moments(self, values: nn.Parameter, places: Tensor, mean: Tensor, mean_square: Tensor) -> None:
        assert self._optimizer is not None, "a training calls start first"
        for name, moment in self._optimizer.state.get(values, {}).items():
            if isinstance(moment, Tensor) and moment.shape == values.shape:
                moment[places] = {"exp_avg": mean, "exp_avg_sq": mean_square}.get(name, torch.zeros_like(mean)).to(moment.dtype)

    def tensors(self) -> Mapping[str, Tensor]:
        """Return where the entries are."""
        return {f"indices.{number}": part.indices for number, part in enumerate(self._change.parts)}

    def state_dict(self) -> Mapping[str, Any]:
        """Return where the entries are, and what is known of the candidates."""
        return {"indices": [part.indices for part in self._change.parts], "candidates": [vars(one) for one in self._candidates]}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        for part, indices in zip(self._change.parts, state["indices"], strict=True):
            part.indices.copy_(indices)
        self._candidates = []
        for part, saved in zip(self._change.parts, state["candidates"], strict=False):
            candidates = _Candidates(len(part.values))
            vars(candidates).update(
                {key: value.to(part.indices.device) if isinstance(value, Tensor) else value for key, value in saved.items()}
            )
            self._candidates.append(candidates)


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> Moving:
    """Let the targets compute with sparse changes of their weights."""
    linears: dict[str, nn.Module] = {}
    parts = []
    for linear in topology.linears(module.layers, module.targets):
        target = linears[linear.name] = model.get_submodule(linear.name)
        weight = next(target.parameters())
        target.autopeft_spiel = SparseEntries(sparse_entries_of(module, linear), linear.fan_in * linear.fan_out, weight.device)
        parts.append(target.autopeft_spiel)
    change = MovingChange(linears, parts)
    model.get_submodule(topology.placed(module.layers)[0].name).autopeft_spiel_change = change
    return Moving(change)
