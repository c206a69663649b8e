"""The training hooks of all modules of a configuration, as a training loop calls them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autopeft.errors import InvalidInputError
from autopeft.methods.applied import AppliedModules
from autopeft.methods.hook import ParameterGroup, TrainingHook
from autopeft.methods.topology import Topology
from autopeft.training.recipes import NO_RECIPES, Recipes

FACTOR = "learning_rate_factor"
"""Key of an optimiser's parameter group."""


class TrainingHooks:
    """The hooks of the modules on one model, then those of the recipes that it is trained by.

    Args:
        applied: The modules.
        recipes: The recipes.
    """

    def __init__(self, applied: AppliedModules, recipes: Recipes = NO_RECIPES) -> None:
        self._hooks: Sequence[TrainingHook] = (*applied.hooks, *recipes.hooks)
        self._recipes = recipes
        self._trainable = applied.trainable_parameters()
        self._layer_of = _places(self._trainable, frozenset(applied.head_parameters), applied.topology)
        self._frozen: frozenset[int] = frozenset()

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Return the optimiser's parameter groups: those that hooks ask for, and one of all other parameters in front.

        Raises:
            InvalidInputError: Two groups hold the same parameter, or one that isn't trained.
        """
        groups = [group for hook in self._hooks for group in hook.parameter_groups(self._trainable)]
        left = {id(parameter): parameter for parameter in self._trainable.values()}
        for group in groups:
            for parameter in group.parameters:
                if not group.is_temporary and left.pop(id(parameter), None) is None:
                    raise InvalidInputError(
                        "a parameter may be in one group of the optimiser, and must be one that is trained",
                        value=next((name for name, one in self._trainable.items() if one is parameter), tuple(parameter.shape)),
                    )
        rest = ParameterGroup(tuple(left.values()))
        return [
            {
                "params": parameters,
                "weight_decay": weight_decay if group.weight_decay is None else group.weight_decay,
                FACTOR: group.learning_rate_factor * factor,
            }
            for group in (rest, *groups)
            for factor, parameters in self._by_factor(group.parameters).items()
        ]

    def _by_factor(self, parameters: Sequence[nn.Parameter]) -> dict[float, list[nn.Parameter]]:
        """Return a group's parameters by the factor that the recipes put on their learning rate."""
        names = {id(parameter): name for name, parameter in self._trainable.items()}
        found: dict[float, list[nn.Parameter]] = {}
        for parameter in parameters:  # a hook's own have no name
            factor = self._recipes.rate_factor(names[id(parameter)]) if id(parameter) in names else 1.0
            found.setdefault(factor, []).append(parameter)
        return found

    def start(self, n_steps: int, optimizer: torch.optim.Optimizer) -> None:
        """Start every hook."""
        for hook in self._hooks:
            hook.start(n_steps, self._trainable, optimizer)

    def scale_loss(self, scale: float) -> None:
        """Let every hook know by what the loss of the next step is multiplied."""
        for hook in self._hooks:
            hook.loss_scale = scale

    def before_step(self, step: int) -> None:
        """Call every hook's `before_step`, and let no gradient reach what any says is not trained in this step."""
        if not self._hooks:
            return
        for hook in self._hooks:
            hook.before_step(step)
        lowest = max(hook.lowest_trained_layer(step) for hook in self._hooks)
        frozen = {id(parameter) for hook in self._hooks for parameter in hook.frozen(step)}
        if lowest:
            frozen |= {id(parameter) for name, parameter in self._trainable.items() if self._layer_of[name] < lowest}
        if frozen != self._frozen:
            self._frozen = frozenset(frozen)
            for parameter in self._trainable.values():
                parameter.requires_grad_(id(parameter) not in frozen)

    def extra_loss(self) -> Tensor | None:
        """Return the sum of what hooks add to the loss; None where none does."""
        extra = [loss for hook in self._hooks if (loss := hook.extra_loss()) is not None]
        return torch.stack(extra).sum() if extra else None

    def after_backward(self, step: int) -> None:
        """Call every hook's `after_backward`."""
        for hook in self._hooks:
            hook.after_backward(step)

    def after_step(self, step: int) -> None:
        """Call every hook's `after_step`."""
        for hook in self._hooks:
            hook.after_step(step)

    def may_be_kept(self, n_steps: int) -> bool:
        """Whether what is trained now is what every module's method promises."""
        return all(hook.may_be_kept(n_steps) for hook in self._hooks)

    def state_dict(self) -> list[Mapping[str, Any]]:
        """Return every hook's state."""
        return [hook.state_dict() for hook in self._hooks]

    def load_state_dict(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Go on from what `state_dict` returned."""
        for hook, state in zip(self._hooks, states, strict=True):
            hook.load_state_dict(state)


def _places(trainable: Mapping[str, nn.Parameter], head: frozenset[str], topology: Topology) -> dict[str, float]:
    """Return each parameter's layer, the lowest of them for what its name puts below the layers and infinity for what stands above."""
    places: dict[str, float] = {}
    for name in trainable:
        layer = topology.layer_of(name)
        places[name] = float("inf") if name in head or topology.is_above(name) else -1 if layer is None else layer
    return places
