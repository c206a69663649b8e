"""Half fine-tuning (HFT: Hui et al., 2024, arXiv 2404.18466): in every round half of the model's matrices are trained, drawn anew.

The draw is by category: of each block's attention projections, of its feed-forward linears, of its norms and of whatever else it has,
half are trained; where their number is odd, one more in every other block, so that it is half over the model. The others keep the values
they have. What stands outside the blocks, such as embeddings, is always trained.
"""

from collections.abc import Collection, Mapping
from itertools import groupby

import torch
from torch import nn

from autopeft.configuration import PeftModule
from autopeft.methods import mask
from autopeft.methods.hook import TrainingHook
from autopeft.methods.mask_forms import everything
from autopeft.methods.topology import Tensor, Topology, unwrapped

_ATTENTION_ROLES = ("query", "key", "value", "query_key_value", "attention_output")
_FFN_ROLES = ("ffn_in", "ffn_out")


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> "HalfFrozen":
    """Make everything trainable, and return what freezes half of it in every round."""
    mask.inject(model, module, topology)
    return HalfFrozen(frozenset(everything(module, topology)), topology, int(module.options["rounds"]), int(torch.randint(2**31, ())))


class HalfFrozen(TrainingHook):
    """Freezes another half of the matrices in every round.

    Args:
        names: The model's own parameters that are trained, by their names before anything was injected.
        topology: Says what they are.
        n_rounds: How often the half is drawn.
        seed: Seeds the draws.
    """

    def __init__(self, names: frozenset[str], topology: Topology, n_rounds: int, seed: int) -> None:
        self._units = _units(names, topology)
        self._n_rounds, self._seed = n_rounds, seed
        self._n_steps = 1
        self._parameters: dict[str, nn.Parameter] = {}
        self._drawn: tuple[int, tuple[nn.Parameter, ...]] = (-1, ())

    def start(self, n_steps: int, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Learn where the parameters are."""
        self._n_steps = n_steps
        self._parameters = {unwrapped(name): parameter for name, parameter in trainable.items()}

    def frozen(self, step: int) -> Collection[nn.Parameter]:
        """Return the half that is frozen in a step's round."""
        number = step * self._n_rounds // self._n_steps
        if self._drawn[0] != number:
            names = frozen_in_round(self._units, self._seed, number)
            self._drawn = number, tuple(self._parameters[name] for name in names)
        return self._drawn[1]


Units = Mapping[tuple[int, str], tuple[tuple[str, ...], ...]]
"""By block and category, the matrices, each as the names of its parameters: its weight, and its bias if it has one."""


def frozen_in_round(units: Units, seed: int, number: int) -> list[str]:
    """Return the names of the parameters that are frozen in a round."""
    generator = torch.Generator().manual_seed(seed + number)
    odd = int(torch.randint(2, (), generator=generator))
    frozen: list[str] = []
    for (block, _), members in sorted(units.items()):
        n_frozen = (len(members) + (block + odd) % 2) // 2
        chosen = torch.randperm(len(members), generator=generator)[:n_frozen].tolist()
        frozen.extend(name for index in sorted(chosen) for name in members[index])
    return frozen


def _units(names: frozenset[str], topology: Topology) -> Units:
    roles = {linear.name: linear.role for block in topology.blocks for linear in block.linears}

    def key(tensor: Tensor) -> tuple[int, str, str]:
        owner = tensor.name.rpartition(".")[0]
        role = roles.get(owner)
        category = "norm" if tensor.is_norm else "attention" if role in _ATTENTION_ROLES else "ffn" if role in _FFN_ROLES else "other"
        assert tensor.block is not None, "only tensors of blocks are sorted into categories"
        return tensor.block, category, owner

    found: dict[tuple[int, str], list[tuple[str, ...]]] = {}
    inside = sorted((tensor for tensor in topology.backbone() if tensor.name in names and tensor.block is not None), key=key)
    for (block, category, _), members in groupby(inside, key=key):
        found.setdefault((block, category), []).append(tuple(tensor.name for tensor in members))
    return {place: tuple(members) for place, members in found.items()}
