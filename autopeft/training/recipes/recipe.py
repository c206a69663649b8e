"""What a recipe may do, beside what a training hook may (`autopeft.methods.hook`): before training, to rates, inputs and the loss.

In a step, after the hooks' `before_step`, each of `n_passes` passes is: `changed` of the batch, the forward pass with `embedded` of its
tokens' embeddings, `loss` of its outputs, and the backward pass. Whatever is drawn comes from torch's generators, whose state a paused
training keeps.
"""

from typing import Any, ClassVar

from torch import Tensor

from autopeft.errors import UnsupportedError
from autopeft.methods.applied import AppliedModules
from autopeft.methods.hook import TrainingHook
from autopeft.methods.topology import Topology
from autopeft.tasks import Batch, Encoded, Family


class Recipe(TrainingHook):
    """One training parameter at a value other than its default. Each method does nothing here; override what is needed.

    Args:
        value: The parameter's value.
        applied: The modules on the model.
    """

    changes_inputs: ClassVar[bool] = False
    """Whether an example's embeddings differ from pass to pass, so that hidden states can't be reused."""
    n_passes: int = 1
    """How often a batch goes through the model in a step; gradients are those of the mean of its losses."""
    n_copies: int = 1
    """How often each row is to stand in a batch."""
    n_copies_in_batch: int = 1
    """How often it does, whichever recipe asks for it: the batch is repeated so many times, one after another."""

    def __init__(self, value: float, applied: AppliedModules) -> None:
        self.value, self.applied = value, applied

    @classmethod
    def objection(cls, family: Family, topology: Topology) -> str:
        """Return why it can't be done with this kind of task on this model, as a clause; empty if it can."""
        return ""

    def prepare(self, seed: int) -> None:
        """Change the model before it is trained; the same for the same seed.

        Raises:
            UnsupportedError: The configuration can't have it.
        """

    def undo(self) -> None:
        """Take back what `prepare` changed, but for trained parameters: these are the modules' own."""

    def rate_factor(self, name: str) -> float:
        """Return a factor on the learning rate of a parameter."""
        return 1.0

    def changed(self, batch: Batch, split: Encoded) -> Batch:
        """Return a batch as it is trained on."""
        return batch

    def embedded(self, embeddings: Tensor, batch: Batch, n_pass: int) -> Tensor:
        """Return the rows x positions x width embeddings of a batch's tokens as they go on, in a pass counted from 0."""
        return embeddings

    def loss(self, loss: Tensor, outputs: Any, batch: Batch, family: Family) -> Tensor:
        """Return the sum of a batch's losses as it is minimised."""
        return loss

    def refuse(self, what: str, reason: str) -> UnsupportedError:
        """Return the error that this configuration can't have the recipe."""
        return UnsupportedError(f"{what} can't be used: {reason}", value=self.applied.configuration.describe())
