"""SpIEL (Ansell et al., 2024, arXiv 2401.16405): sparse changes whose places move while they train.

Of each target's weight K entries are changed: theta = theta_0 + delta at the indices eta. Every S steps the p K entries with the smallest
|delta| go, and as many come, at delta = 0; p falls linearly with the steps from p_0 to 0. What comes is chosen by one of two criteria.

Accumulated gradients (SpIEL-AG): in a phase of G steps the K entries with the largest |gradient| in its first step become candidates, and
their gradients are added up; the largest |sum of gradients| come, their moments in the optimiser set to the means of gradient and squared
gradient. The first phase is the first G steps and replaces all.

Momenta (SpIEL-MA): SM3 (Anil et al., 2019, arXiv 1901.11150, SM3-II) bounds the sum v_ij of an entry's squared gradients by a number for
its row and one for its column, from the changed entries alone: v_ij = min(r_i, c_j) + g_ij^2, r_i = max_j v_ij, c_j = max_i v_ij. Of the
other entries those with the largest r_i c_j come, with min(r_i, c_j) / t for a mean squared gradient after t steps. In the paper SM3 takes
the steps too; here the configuration's optimiser does.
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

    def end_step(self, loss_scale: float) -> None:
        """Add the step's gradient to the sums; the first step says which are the candidates."""
        gradient, self.step_gradients = self.step_gradients, None
        if gradient is None or not gradient.isfinite().all():  # no loss reached the weight, or float16 was too narrow for it
            return
        gradient = gradient / loss_scale
        if self.indices is None:
            self.indices = gradient.abs().topk(min(self._n, len(gradient)), sorted=False).indices
            gradient = gradient[self.indices]
            self.sums = self.squares = torch.zeros_like(gradient)
        self.sums, self.squares, self.n_steps = self.sums + gradient, self.squares + gradient**2, self.n_steps + 1


class _Moving(TrainingHook):
    """Drops and grows the entries.

    Args:
        change: The changes.
    """

    def __init__(self, change: MovingChange) -> None:
        self._change = change
        self._n_steps, self._interval = 1, INTERVAL_STEPS
        self._optimizer: torch.optim.Optimizer | None = None

    def start(self, n_steps: int, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Fit the intervals into a training."""
        self._n_steps, self._optimizer = n_steps, optimizer
        self._interval = max(2, min(INTERVAL_STEPS, n_steps // SHORTEST))

    def _share(self, n_done: int) -> float:
        """Return p after so many steps."""
        return REPLACED * (1 - n_done / self._n_steps)

    def _grow(self, part: SparseEntries, places: Tensor, indices: Tensor, mean: Tensor, mean_square: Tensor) -> None:
        """Let some entries be others, whose moments the optimiser gets."""
        assert self._optimizer is not None, "a training calls start first"
        part.indices[places] = indices
        part.values[places] = 0.0
        for name, moment in self._optimizer.state.get(part.values, {}).items():
            if isinstance(moment, Tensor) and moment.shape == part.values.shape:
                moment[places] = {"exp_avg": mean, "exp_avg_sq": mean_square}.get(name, torch.zeros_like(mean)).to(moment.dtype)

    def tensors(self) -> Mapping[str, Tensor]:
        """Return where the entries are."""
        return {f"indices.{number}": part.indices for number, part in enumerate(self._change.parts)}

    def state_dict(self) -> Mapping[str, Any]:
        """Return where the entries are."""
        return {"indices": [part.indices for part in self._change.parts]}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        for part, indices in zip(self._change.parts, state["indices"], strict=True):
            part.indices.copy_(indices)


class ByGradients(_Moving):
    """SpIEL-AG."""

    def __init__(self, change: MovingChange) -> None:
        super().__init__(change)
        self._candidates: list[_Candidates] = []
        self._phase = PHASE_STEPS

    def start(self, n_steps: int, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Fit the intervals into a training, and phases into these."""
        super().start(n_steps, trainable, optimizer)
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
            candidates.end_step(self.loss_scale)

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Replace entries after the last step of a phase."""
        n_done = step + 1
        if not self._candidates or n_done % self._interval != self._phase % self._interval:
            return
        share = 1.0 if n_done == self._phase else self._share(n_done)
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
        n_steps = candidates.n_steps
        self._grow(part, places, candidates.indices[best], candidates.sums[best] / n_steps, candidates.squares[best] / n_steps)

    def state_dict(self) -> Mapping[str, Any]:
        """Return where the entries are, and what is known of the candidates."""
        return {**super().state_dict(), "candidates": [vars(one) for one in self._candidates]}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        super().load_state_dict(state)
        self._candidates = []
        for part, saved in zip(self._change.parts, state["candidates"], strict=False):
            candidates = _Candidates(len(part.values))
            vars(candidates).update(
                {key: value.to(part.indices.device) if isinstance(value, Tensor) else value for key, value in saved.items()}
            )
            self._candidates.append(candidates)


class ByMomenta(_Moving):
    """SpIEL-MA."""

    def __init__(self, change: MovingChange) -> None:
        super().__init__(change)
        self._bounds: list[tuple[Tensor, Tensor]] = []
        for index, part in enumerate(change.parts):
            n_rows, n_columns = change.weight(index).shape
            self._bounds.append((torch.zeros(n_rows, device=part.values.device), torch.zeros(n_columns, device=part.values.device)))
        """For each target r and c."""

    @torch.no_grad()
    def after_backward(self, step: int) -> None:
        """Take in the squared gradients of a step."""
        for part, (rows, columns) in zip(self._change.parts, self._bounds, strict=True):
            if part.values.grad is None or not part.values.grad.isfinite().all():
                continue
            row, column = part.indices // len(columns), part.indices % len(columns)
            squares = torch.minimum(rows[row], columns[column]) + part.values.grad.float() ** 2
            rows.scatter_reduce_(0, row, squares, "amax", include_self=False)
            columns.scatter_reduce_(0, column, squares, "amax", include_self=False)

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Replace entries after every S steps."""
        n_done = step + 1
        if n_done % self._interval:
            return
        for part, (rows, columns) in zip(self._change.parts, self._bounds, strict=True):
            estimates = torch.outer(rows, columns).flatten().index_fill(0, part.indices, 0.0)
            n_replaced = min(int(self._share(n_done) * len(part.values)), int((estimates > 0).sum()))
            places = part.values.abs().topk(n_replaced, largest=False).indices
            grown = estimates.topk(n_replaced).indices
            squares = torch.minimum(rows[grown // len(columns)], columns[grown % len(columns)]) / n_done
            self._grow(part, places, grown, torch.zeros_like(squares), squares)

    def state_dict(self) -> Mapping[str, Any]:
        """Return where the entries are, and what SM3 keeps."""
        return {**super().state_dict(), "bounds": [list(pair) for pair in self._bounds]}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        super().load_state_dict(state)
        for pair, saved in zip(self._bounds, state["bounds"], strict=True):
            for bound, values in zip(pair, saved, strict=True):
                bound.copy_(values)


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> TrainingHook:
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
    return ByMomenta(change) if module.options["growth"] == "momenta" else ByGradients(change)
