"""What a PEFT method may do while it is trained, beside having parameters.

A method's injector returns a hook, or None, which is usual. A step of training, numbered from 0, is: `before_step`, `lowest_trained_layer`
and `frozen`, the forward pass, the backward pass of the task's loss and of `extra_loss`, `after_backward`, clipping, the optimiser's step,
`after_step`. Everything that a hook keeps from step to step is in `state_dict`, so that a training can stop after any step and go on
elsewhere.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that are trained with settings of their own."""

    parameters: Sequence[nn.Parameter]
    learning_rate_factor: float = 1.0
    """Times the configuration's learning rate, at every step of its schedule."""
    weight_decay: float | None = None
    """None: the configuration's."""
    is_temporary: bool = False
    """Whether they are the hook's own, trained for a while to decide something and kept out of the result."""


class TrainingHook:
    """What one module of a configuration does to a training. Each method does nothing here; override what is needed."""

    loss_scale: float = 1.0
    """By what the loss is multiplied in the backward pass of a step, in float16; from `after_backward` on gradients are divided by it."""

    def parameter_groups(self, trainable: Mapping[str, nn.Parameter]) -> Iterable[ParameterGroup]:
        """Return the parameters that need settings of their own; asked once, before the optimiser is made.

        Args:
            trainable: Everything that is trained, by name: all modules' parameters and the task head's.
        """
        return ()

    def start(self, n_steps: int, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Get ready for a training of so many steps, from its first or, with `load_state_dict` after this, from a later one."""

    def before_step(self, step: int) -> None:
        """Get ready for a step, before its forward pass."""

    def extra_loss(self) -> Tensor | None:
        """Return a number to be minimised beside the task's loss, computed in float32; None for none."""
        return None

    def after_backward(self, step: int) -> None:
        """Look at or change the gradients of a step, before they are clipped."""

    def after_step(self, step: int) -> None:
        """Look at or change the parameters after a step; their clipped gradients are still there."""

    def lowest_trained_layer(self, step: int) -> int:
        """Return the layer below which nothing is trained in a step, whatever module it belongs to; 0 to train everything.

        Layers are numbered as in configurations; with the number of layers only what stands above them is trained. The backward pass
        ends there, so that a step costs less.
        """
        return 0

    def frozen(self, step: int) -> Collection[nn.Parameter]:
        """Return parameters that are not trained in a step: they get no gradient and keep their values."""
        return ()

    def may_be_kept(self, n_steps: int) -> bool:
        """Whether a model after so many steps is what the method promises, so that the best epoch may be one of these.

        It must be so after the last step.
        """
        return True

    def tensors(self) -> Mapping[str, Tensor]:
        """Return what was decided in training and is saved with the parameters, such as which entries they are; loading writes into it."""
        return {}

    def loaded(self) -> None:
        """Look at `tensors` after they were loaded from an adapter."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return what must be kept to go on: tensors, numbers, texts, and lists and dictionaries of them."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned; `start` has been called, and the optimiser's state comes after this."""
