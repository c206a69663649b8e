"""Methods of two stages: temporary parameters find out which of many places matter most, and these places alone are trained then.

In the first stage of a training the temporary parameters are trained in every place. Then the K places of the highest score are chosen,
the temporary parameters go, and what they changed with them; the second stage trains K values that start at zero. Optimiser and adapter
hold only these from then on. The learning rate keeps to one schedule over both stages.
"""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autopeft.methods.hook import ParameterGroup, TrainingHook


class Selected(nn.Module):
    """The values of K places out of N.

    Args:
        shape: K, or K x width.
        n_places: N.
        device: Where they are.
    """

    places: Tensor

    def __init__(self, shape: Sequence[int], n_places: int, device: torch.device) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(*shape, device=device))
        self.n_places = n_places
        self.register_buffer("places", torch.arange(shape[0], device=device), persistent=False)

    def within(self, start: int, end: int) -> tuple[Tensor, Tensor]:
        """Return which of the places from start to end are chosen, counted from start, and their values."""
        first, last = torch.searchsorted(self.places, torch.tensor([start, end], device=self.places.device)).tolist()
        return self.places[first:last] - start, self.values[first:last]


class Selection(TrainingHook):
    """The two stages.

    Args:
        selected: What is trained in the second.
        share: Share of the steps that the first takes.
    """

    def __init__(self, selected: Selected, share: float) -> None:
        self._selected, self._share = selected, share
        self._until = 0
        self._temporary: tuple[nn.Parameter, ...] = ()
        self._optimizer: torch.optim.Optimizer | None = None

    @abstractmethod
    def make_temporary(self) -> Sequence[nn.Parameter]:
        """Make and put in place the parameters of the first stage."""

    @abstractmethod
    def drop_temporary(self) -> None:
        """Take them away."""

    @abstractmethod
    def scores(self) -> Tensor:
        """Return the score of each of the N places, from the temporary parameters."""

    @property
    def is_first_stage(self) -> bool:
        """Whether the places are still to be chosen."""
        return bool(self._temporary)

    def parameter_groups(self, trainable: Mapping[str, nn.Parameter]) -> Iterable[ParameterGroup]:
        """Return the group of the temporary parameters."""
        self._temporary = tuple(self.make_temporary())
        yield ParameterGroup(self._temporary, is_temporary=True)

    def start(self, n_steps: int, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Divide the steps; each stage has at least one if there are two."""
        self._until = min(max(1, round(self._share * n_steps)), max(1, n_steps - 1))
        self._optimizer = optimizer

    def frozen(self, step: int) -> Collection[nn.Parameter]:
        """Return the values while the places are still to be chosen."""
        return (self._selected.values,) if self.is_first_stage else ()

    def after_step(self, step: int) -> None:
        """Choose the places after the first stage."""
        if self.is_first_stage and step + 1 == self._until:
            best = self.scores().topk(len(self._selected.places)).indices
            self._selected.places.copy_(best.sort().values)
            self._end_first_stage()

    def _end_first_stage(self) -> None:
        assert self._optimizer is not None, "a training calls start first"
        temporary = {id(parameter) for parameter in self._temporary}
        for parameter in self._temporary:
            self._optimizer.state.pop(parameter, None)
        groups = self._optimizer.param_groups
        groups[:] = [group for group in groups if not temporary.intersection(map(id, group["params"]))]
        self._temporary = ()
        self.drop_temporary()

    def may_be_kept(self, n_steps: int) -> bool:
        """Whether the places are chosen."""
        return not self.is_first_stage

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the places."""
        return {"places": self._selected.places}

    def state_dict(self) -> Mapping[str, Any]:
        """Return the places, and the temporary parameters while there are any."""
        return {"places": self._selected.places, "temporary": list(self._temporary)}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on in the stage that the state is of."""
        self._selected.places.copy_(state["places"])
        if not state["temporary"]:
            self._end_first_stage()
        for parameter, saved in zip(self._temporary, state["temporary"], strict=True):
            parameter.copy_(saved)
