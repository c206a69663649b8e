"""The table of recipes, and all of one configuration's together."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from autopeft.errors import UnsupportedError
from autopeft.methods.applied import AppliedModules
from autopeft.methods.topology import Topology
from autopeft.tasks import Batch, Encoded, Family
from autopeft.training.recipes.inputs import AdversarialNoise, EmbeddingNoise, MaskedThought, WordDropout, WordSwap
from autopeft.training.recipes.losses import LabelSmoothing, RDrop
from autopeft.training.recipes.mixing import Mixup
from autopeft.training.recipes.rates import DropoutFactor, HeadRate, LayerRateDecay
from autopeft.training.recipes.recipe import Recipe
from autopeft.training.recipes.start import L2Start, Mixout, ReinitLayers
from autopeft.training_parameters import DEFAULTS, TrainingValue, number

RECIPES: Mapping[str, type[Recipe]] = {
    "head_rate": HeadRate,
    "layer_rate_decay": LayerRateDecay,
    "dropout_factor": DropoutFactor,
    "word_swap": WordSwap,
    "mixup": Mixup,  # before what else is done to the loss
    "label_smoothing": LabelSmoothing,
    "reinit_layers": ReinitLayers,
    "mixout": Mixout,  # takes the trained numbers back before anything looks at them
    "l2_start": L2Start,
    "masked_thought": MaskedThought,
    "word_dropout": WordDropout,
    "embedding_noise": EmbeddingNoise,
    "adversarial_noise": AdversarialNoise,
    "r_drop": RDrop,  # last, for it halves the loss of a batch that is twice as large
}
"""By training parameter, in the order in which they act. The others stand in the loop: rate, schedule, optimiser and budget."""


class Recipes:
    """The recipes of a configuration that are on.

    Args:
        training: The configuration's training parameters.
        applied: Its modules, on the model.
        family: What is trained for.

    Raises:
        UnsupportedError: The kind of task or the model can't have one of them.
    """

    def __init__(self, training: Mapping[str, TrainingValue], applied: AppliedModules, family: Family) -> None:
        on = {name: kind for name, kind in RECIPES.items() if number(training, name) != DEFAULTS[name]}
        for name, kind in on.items():
            if reason := kind.objection(family, applied.topology):
                raise UnsupportedError(f"{name} can't be used: {reason}", value=training[name])
        self.hooks: Sequence[Recipe] = tuple(kind(number(training, name), applied) for name, kind in on.items())
        """Each of them, as a training hook too."""
        self._embedding = applied.topology.embedding if any(one.changes_inputs for one in self.hooks) else ""
        self.n_passes = max((one.n_passes for one in self.hooks), default=1)
        """Forward and backward passes of a batch in a step."""
        self._n_copies = max((one.n_copies for one in self.hooks), default=1)
        for one in self.hooks:
            one.n_copies_in_batch = self._n_copies
        self.n_rounds = self.n_passes * self._n_copies
        """How often an example goes through the model in a step: what it costs, times that of a training without recipes."""
        self.input_noise = ", ".join(name for name, kind in on.items() if kind.changes_inputs)
        """Names of those that make an example another one in every pass, with commas; empty if none does."""

    def prepare(self, seed: int) -> None:
        """Change the model before it is trained, right after its modules and its head were drawn.

        Raises:
            UnsupportedError: The configuration can't have one of them.
        """
        for one in self.hooks:
            one.prepare(seed)

    def undo(self) -> None:
        """Take back what `prepare` changed beside trained parameters."""
        for one in self.hooks:
            one.undo()

    def rows(self, indices: list[int]) -> list[int]:
        """Return the rows that go through the model for these."""
        return self._n_copies * indices

    def rate_factor(self, name: str) -> float:
        """Return the factor on a parameter's learning rate."""
        factor = 1.0
        for one in self.hooks:
            factor *= one.rate_factor(name)
        return factor

    def changed(self, batch: Batch, split: Encoded) -> Batch:
        """Return a batch as it is trained on."""
        for one in self.hooks:
            batch = one.changed(batch, split)
        return batch

    @contextmanager
    def embedding(self, model: nn.Module, batch: Batch, n_pass: int) -> Iterator[None]:
        """Within this context a forward pass sees the embeddings of its first texts as the recipes change them."""
        if not self._embedding:
            yield
            return
        is_done = False

        def change(module: nn.Module, args: Any, output: Tensor) -> Tensor:
            nonlocal is_done
            if is_done:  # a decoder that shares the encoder's embedding
                return output
            is_done = True
            for one in self.hooks:
                output = one.embedded(output, batch, n_pass)
            return output

        handle = model.get_submodule(self._embedding).register_forward_hook(change)
        try:
            yield
        finally:
            handle.remove()

    def loss(self, loss: Tensor, outputs: Any, batch: Batch, family: Family) -> Tensor:
        """Return the sum of a batch's losses as it is minimised, counted once for each row that was asked for."""
        for one in self.hooks:
            loss = one.loss(loss, outputs, batch, family)
        return loss


class _NoRecipes(Recipes):
    def __init__(self) -> None:
        self.hooks, self._embedding, self.n_passes, self._n_copies, self.n_rounds, self.input_noise = (), "", 1, 1, 1, ""


NO_RECIPES: Recipes = _NoRecipes()
"""For a training without any."""


def left_out(name: str, family: Family, topology: Topology) -> str:
    """Return why a training parameter can't be used for a kind of task on a model, as a clause; empty if it can."""
    return RECIPES[name].objection(family, topology) if name in RECIPES else ""
