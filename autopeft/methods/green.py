"""GreenTrainer (Huang et al., 2023, arXiv 2309.13192): train the tensors that matter most within a budget of backward FLOPs.

The tensors are numbered from the model's output down to its input. To train a set M of them costs

    sum over k in M of w_k  +  sum over k < max M of y_k,

w_k being the FLOPs of tensor k's own gradient and y_k those that pass the gradient on below it: the backward pass ends at the deepest of M.
Both are counted where the model runs, a product of p rows with a matrix of n entries as 2pn. The importance of a tensor is by how much its
update lowered the loss, to first order: I_k = -sum of gradient times update. M maximises the sum of I_k at a cost of at most a share of
what training all tensors costs: a knapsack for each depth, all solved by one dynamic programme over the tensors.

The paper's share rho is of a whole step, and so counts the forward pass, which is always computed; this one is of the backward pass alone.

The first step of each round trains everything, which is measured; the others train M. What stands above the layers is part of it; the task
head is trained always, and doesn't count.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from autopeft.configuration import PeftModule
from autopeft.methods import mask
from autopeft.methods.hook import TrainingHook
from autopeft.methods.mask_forms import everything
from autopeft.methods.outputs import first_tensor
from autopeft.methods.topology import Topology, unwrapped

RESOLUTION = 20_000
"""Units that a full backward pass is divided into; costs are rounded up to these."""
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_ATTENDING = ("query", "key", "value", "query_key_value")


@dataclass(frozen=True)
class Operation:
    """What a backward pass comes across, from the output down: a tensor, or what an attention does without one."""

    name: str
    """The parameter's name before anything was injected; empty for an attention."""
    module: nn.Module
    """Where it works."""
    own: float = 0.0
    """FLOPs of its own gradient, for each row that its module puts out."""
    passing: float = 0.0
    """FLOPs that pass the gradient on, for each row; of an attention, for each row and position it attends to."""


def choose(importance: Sequence[float], own: Sequence[float], passing: Sequence[float], share: float) -> list[int]:
    """Return the numbers of the tensors to train.

    Args:
        importance: I_k.
        own: W_k.
        passing: Y_k.
        share: Of the cost of training all, at most so much.
    """
    unit = (sum(own) + sum(passing)) / RESOLUTION
    capacity = int(share * RESOLUTION)
    costs = [ceil(cost / unit) for cost in own]
    best = torch.zeros(capacity + 1, dtype=torch.float64)  # by what may be spent, over the tensors so far
    taken: list[Tensor | None] = []
    largest, deepest, left = 0.0, -1, 0
    passed = 0.0
    for number, (gain, cost) in enumerate(zip(importance, costs, strict=True)):
        room = capacity - ceil(passed / unit) - cost
        if gain > 0 and room >= 0 and gain + float(best[room]) > largest:
            largest, deepest, left = gain + float(best[room]), number, room
        passed += passing[number]
        if gain <= 0 or cost > capacity:
            taken.append(None)
            continue
        with_it = best[: capacity + 1 - cost] + gain
        is_better = torch.zeros(capacity + 1, dtype=torch.bool)
        is_better[cost:] = with_it > best[cost:]
        best = torch.cat([best[:cost], torch.maximum(with_it, best[cost:])])
        taken.append(is_better)
    chosen = [deepest] if deepest >= 0 else []
    for number in range(deepest - 1, -1, -1):
        is_better_here = taken[number]
        if is_better_here is not None and is_better_here[left]:
            chosen.append(number)
            left -= costs[number]
    return chosen[::-1]


class GreenTraining(TrainingHook):
    """Chooses, in every round, what is trained in it.

    Args:
        operations: Of the model, from its output down.
        n_rounds: How often there is a choice.
        share: Of the FLOPs of a full backward pass, at most so many.
    """

    def __init__(self, operations: Sequence[Operation], n_rounds: int, share: float) -> None:
        self._operations, self._n_rounds, self._share = operations, n_rounds, share
        self._n_steps = 1
        self._parameters: dict[str, nn.Parameter] = {}
        self._round, self._names = -1, frozenset[str]()
        """For which round a choice was made, and what it freezes."""
        self._handles: list[RemovableHandle] = []
        self._rows: dict[nn.Module, float] = {}
        self._before: dict[str, Tensor] = {}

    def start(self, n_steps: int, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Learn where the parameters are."""
        self._n_steps = n_steps
        self._parameters = {unwrapped(name): parameter for name, parameter in trainable.items()}

    def _is_measured(self, step: int) -> bool:
        return self._round != step * self._n_rounds // self._n_steps

    def before_step(self, step: int) -> None:
        """Count rows in a step that is measured."""
        if not self._is_measured(step):
            return
        self._rows = {}
        attending = {operation.module for operation in self._operations if not operation.name}
        for module in {operation.module: None for operation in self._operations}:
            count = partial(self._add_rows, squared=module in attending)
            self._handles.append(module.register_forward_hook(count))

    def _add_rows(self, module: nn.Module, args: tuple[Any, ...], output: Any, *, squared: bool) -> None:
        hidden = first_tensor(output)
        if not isinstance(hidden, Tensor):  # a whole model's output: its own parameters are read once for each of its rows
            return
        shape = hidden.shape
        rows = shape.numel() / (shape[1] if isinstance(module, _CONVOLUTIONS) else shape[-1])
        self._rows[module] = self._rows.get(module, 0.0) + rows * (shape[1] if squared else 1)

    def frozen(self, step: int) -> Collection[nn.Parameter]:
        """Return what the choice leaves out."""
        return () if self._is_measured(step) else [self._parameters[name] for name in sorted(self._names)]

    def after_backward(self, step: int) -> None:
        """Keep the values that a measured step starts from."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self._is_measured(step):
            self._before = {one.name: self._parameters[one.name].detach().clone() for one in self._operations if one.name}

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Choose; a step that changed nothing, as gradients were too large for float16, is no measure of what matters."""
        if not self._is_measured(step):
            return
        importance = [self._importance(operation.name) for operation in self._operations]
        self._before = {}
        if max(importance) <= 0:
            return
        own, passing = self.costs()
        chosen = {self._operations[number].name for number in choose(importance, own, passing, self._share)}
        self._names = frozenset(operation.name for operation in self._operations if operation.name) - chosen
        self._round = step * self._n_rounds // self._n_steps

    def costs(self) -> tuple[list[float], list[float]]:
        """Return w and y, in FLOPs, as the last measured step had them."""
        most = max(self._rows.values(), default=1.0)
        rows = [self._rows.get(operation.module, most) for operation in self._operations]  # not called: its tensors are read elsewhere
        own = [operation.own * count for operation, count in zip(self._operations, rows, strict=True)]
        return own, [operation.passing * count for operation, count in zip(self._operations, rows, strict=True)]

    def _importance(self, name: str) -> float:
        parameter = self._parameters.get(name)
        if parameter is None or parameter.grad is None:
            return 0.0
        return -float((parameter.grad * (parameter - self._before[name])).sum())

    def state_dict(self) -> Mapping[str, Any]:
        """Return the choice."""
        return {"round": self._round, "frozen": sorted(self._names)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with a choice."""
        self._round, self._names = int(state["round"]), frozenset(state["frozen"])


def operations_of(model: nn.Module, names: Collection[str], topology: Topology) -> Iterator[Operation]:
    """Yield what a backward pass comes across, from the output down.

    Args:
        model: The model, without modules that wrap its own.
        names: The parameters that may be trained.
        topology: The model's.
    """
    attentions = {
        linear.name: attention
        for block in topology.blocks
        for attention in block.attentions
        for linear in block.linears
        if linear.role in _ATTENDING and linear.name.startswith(f"{attention.name}.")
    }
    seen: set[str] = set()
    for tensor in reversed([tensor for tensor in topology.backbone() if tensor.name in names]):
        owner = tensor.name.rpartition(".")[0]
        module = model.get_submodule(owner)
        attention = attentions.get(owner)
        if attention is not None and attention.name not in seen:
            seen.add(attention.name)
            # A row of the output has heads x width entries: four products of so many with the positions attended to, 2 FLOPs each.
            width = attention.n_heads * max(attention.key_size, attention.value_size)
            yield Operation("", model.get_submodule(attention.name), passing=8.0 * width)
        is_convolution = isinstance(module, _CONVOLUTIONS)
        if isinstance(module, nn.Embedding) or (tensor.block is None and not tensor.name.endswith((".weight", ".bias"))):
            yield Operation(tensor.name, module, own=float(tensor.shape[-1]))  # an embedding, or something added to embeddings
        elif tensor.is_bias:
            yield Operation(tensor.name, module, own=float(tensor.size))
        elif len(tensor.shape) < 2:
            yield Operation(tensor.name, module, own=2.0 * tensor.size, passing=5.0 * tensor.size)
        else:
            # Of the experts of a mixture, which are one tensor, a row sees few: counted as one.
            entries = tensor.size / (tensor.shape[0] if len(tensor.shape) > 2 and not is_convolution else 1)
            yield Operation(tensor.name, module, own=2.0 * entries, passing=2.0 * entries)


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> GreenTraining:
    """Make everything trainable, and return what chooses."""
    mask.inject(model, module, topology)
    operations = tuple(operations_of(model, set(everything(module, topology)), topology))
    return GreenTraining(operations, int(module.options["rounds"]), float(module.options["backward_share"]))
