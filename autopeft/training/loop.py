"""The training loop of a search: an optimiser, a schedule, gradient clipping, length-bucketed batches, and what recipes do to them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from autopeft.budget import Budget
from autopeft.errors import AutopeftError, VerificationError
from autopeft.tasks import Encoded
from autopeft.training.batches import batch_sizes, epoch_batches
from autopeft.training.cpu_kernels import CpuKernels
from autopeft.training.hidden_states import FrozenPart
from autopeft.training.hooks import FACTOR, TrainingHooks
from autopeft.training.live import LiveCurve
from autopeft.training.precision import in_bfloat16
from autopeft.training.recipes import NO_RECIPES, Recipes
from autopeft.training.recipes.optimizers import make_optimizer
from autopeft.training.recipes.schedules import schedule
from autopeft.training.tree import pack_tree, unpack_tree
from autopeft.training.turns import ALONE, Turn, random_state, set_random_state
from autopeft.training_parameters import TrainingValue, number, word

MAX_GRADIENT_NORM = 1.0


class DivergedError(AutopeftError, ArithmeticError):
    """The training loss is not a finite number any more."""


@dataclass(frozen=True)
class TrainProgress:
    """How far a training is."""

    step: int
    """Optimiser steps done since the start of training."""
    examples_seen: int
    """Training examples done since the start of training, repeats counted."""
    train_loss: float
    """Mean of the loss's terms, examples or tokens, since the `advance` before, in the unit of the metric "loss"; NaN without a step."""


class Training:
    """The training of one model, in place. It can stop after any step and go on, here or in another process, as if it never had.

    Dropout draws from torch's global generator: seed it before a training starts.

    Args:
        model: A model with its modules injected.
        trainable: The parameters to update, by name.
        hooks: What the modules do to the training.
        split: Training examples; their family computes the loss.
        hyper_parameters: The configuration's training parameters.
        budget: Passes over the examples, and what a step holds.
        seed: Orders the batches.
        bfloat16: Multiply in bfloat16 (autocast); parameters and optimiser stay in float32.
        frozen: What lies below the modules; it is neither trained nor, where it is known already, computed.
        micro_batch: Examples that go through the model at once; a step adds up the gradients of as many as it needs. None: all.
        float16: Products are computed in float16, whose smallest gradients would be lost: losses are scaled up, and gradients down again
            (Micikevicius et al., 2018, arXiv 1710.03740); a step whose gradients are too large for it is left out.
        draws_backwards: The backward pass draws from the process's generator, as layers do that are computed a second time in it.
        turn: Lets other trials of the process go on between steps and during backward passes.
        live: Hears of every step. None: nobody does.
        recipes: What else is done to inputs and losses; `hooks` has them as hooks.
    """

    def __init__(
        self,
        model: nn.Module,
        trainable: Mapping[str, nn.Parameter],
        hooks: TrainingHooks,
        split: Encoded,
        *,
        hyper_parameters: Mapping[str, TrainingValue],
        budget: Budget,
        seed: int,
        bfloat16: bool,
        frozen: FrozenPart,
        micro_batch: int | None = None,
        float16: bool = False,
        draws_backwards: bool = False,
        turn: Turn = ALONE,
        live: LiveCurve | None = None,
        recipes: Recipes = NO_RECIPES,
    ) -> None:
        self.model, self._split = model, split
        self._trainable = {name: parameter for name, parameter in trainable.items() if parameter.requires_grad}
        self._settings = hyper_parameters
        self._hooks, self._recipes = hooks, recipes
        self._optimizer = make_optimizer(word(hyper_parameters, "optimizer"), hooks.parameter_groups(self._number("weight_decay")))
        self._bfloat16, self._frozen, self._live = bfloat16, frozen, live
        self._micro_batch, self._turn = micro_batch or len(split), turn
        self._device = next(model.parameters()).device
        self._draws_backwards = draws_backwards or any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=float16)
        self._batches = _batches(split, budget, seed)
        self._examples_seen = 0
        self.n_steps = budget.epochs * len(batch_sizes(split, budget))
        """Steps of the whole training."""
        hooks.start(self.n_steps, self._optimizer)
        self.step = 0
        """Steps done."""

    def cache_hidden_states(self) -> None:
        """Keep hidden states of every example now, where they are reused, unless a trial before did: no step shall take that time."""
        self.model.train()
        with in_bfloat16(self._device, self._bfloat16):
            self._frozen.keep(self._split)

    def advance(self, step: int) -> TrainProgress:
        """Train until so many steps are done since the start.

        Raises:
            DivergedError: The loss became NaN or infinite.
        """
        self.model.train()
        self._frozen.eval()
        n_terms, total = 0, 0.0
        while self.step < step:
            indices = next(self._batches)
            terms = int(self._split.weights[indices].sum())
            loss = self._update(indices, terms)
            total += loss * terms
            n_terms += terms
            self._examples_seen += len(indices) * self._recipes.n_rounds
            self.step += 1
            if self._live is not None:
                self._live.stepped(self.step / self.n_steps, self._examples_seen, self._split.family.loss_unit * loss, terms)
            self._turn.pass_on()
        mean = self._split.family.loss_unit * total / n_terms if n_terms else math.nan
        return TrainProgress(self.step, self._examples_seen, mean)

    @property
    def may_be_kept(self) -> bool:
        """Whether what is trained now may be the training's result."""
        return self._hooks.may_be_kept(self.step)

    def state(self) -> bytes:
        """Return all that `restore` needs to go on: trained tensors, the optimiser's and the hooks' state, steps done, random state."""
        return pack_tree(
            {
                "step": self.step,
                "parameters": dict(self._trainable),
                "optimizer": self._optimizer.state_dict(),
                "hooks": self._hooks.state_dict(),
                "random": random_state(self._device),
                **({"scaler": self._scaler.state_dict()} if self._scaler.is_enabled() else {}),
            }
        )

    def restore(self, state: bytes) -> None:
        """Go on where `state` was taken: on a fresh training of the same model, parameters, data and settings.

        Raises:
            VerificationError: The state is of other parameters.
        """
        saved = unpack_tree(state)
        parameters = saved["parameters"]
        if {name: tensor.shape for name, tensor in parameters.items()} != {name: one.shape for name, one in self._trainable.items()}:
            raise VerificationError("a paused training must go on with the parameters it had", value=sorted(parameters)[:3])
        for name, parameter in self._trainable.items():
            parameter.data.copy_(parameters[name])
        self._hooks.load_state_dict(saved["hooks"])  # first, for it may take parameter groups away
        self._optimizer.load_state_dict(saved["optimizer"])
        if self._scaler.is_enabled():
            self._scaler.load_state_dict(saved["scaler"])
        while self.step < saved["step"]:
            self._examples_seen += len(next(self._batches)) * self._recipes.n_rounds
            self.step += 1
        set_random_state(saved["random"], self._device)

    def _update(self, indices: list[int], n_terms: int) -> float:
        """Take one optimiser step over so many terms of the loss, and return their mean.

        Gradients add up over parts of the batch, and over the recipes' passes of each. Each part's loss is divided by the terms of the
        whole batch, so that how it is cut changes nothing.
        """
        factor = schedule(word(self._settings, "schedule"), self.step, self.n_steps, self._number("warmup_fraction"))
        rate = self._number("learning_rate") * factor
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group[FACTOR]
        if self._scaler.is_enabled():
            self._hooks.scale_loss(self._scaler.get_scale())
        self._hooks.before_step(self.step)
        value = sum(
            self._add_gradients(indices[first : first + self._micro_batch], n_terms, n_pass)
            for first in range(0, len(indices), self._micro_batch)
            for n_pass in range(self._recipes.n_passes)
        )
        if (extra := self._hooks.extra_loss()) is not None:
            self._require_finite(float(extra.detach()))
            self._scaler.scale(extra).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self._optimizer)
        self._hooks.after_backward(self.step)
        nn.utils.clip_grad_norm_([one for group in self._optimizer.param_groups for one in group["params"]], MAX_GRADIENT_NORM)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._hooks.after_step(self.step)
        self._optimizer.zero_grad()
        return value

    def _number(self, name: str) -> float:
        return number(self._settings, name)

    def _add_gradients(self, indices: list[int], n_terms: int, n_pass: int) -> float:
        """Add some rows' part to the gradients of a step over so many terms of the loss; return their part of its mean."""
        rows = self._recipes.rows(indices)
        with in_bfloat16(self._device, self._bfloat16), self._frozen.reused(self._split, rows):
            loss = summed_loss(self.model, self._split, rows, self._recipes, n_pass) / (max(1, n_terms) * self._recipes.n_passes)
        with self._turn.away():
            value = float(loss.detach())
            if not self._draws_backwards and math.isfinite(value):
                self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._require_finite(value)
        if self._draws_backwards:
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return value

    def _require_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise DivergedError(
                "training diverged: the loss is not finite",
                value=loss,
                remedy=f"It happened in step {self.step + 1} of {self.n_steps}; lower the learning rate.",
            )


def _batches(split: Encoded, budget: Budget, seed: int) -> Iterator[list[int]]:
    """Yield the batches of one epoch after another."""
    rng = np.random.default_rng(seed)
    while True:
        yield from epoch_batches(split, budget, rng)


def summed_loss(model: nn.Module, split: Encoded, rows: list[int], recipes: Recipes = NO_RECIPES, n_pass: int = 0) -> torch.Tensor:
    """Return the sum of the losses of some rows, in float32; it has as many terms as their weights add up to.

    Args:
        model: The model.
        split: The examples.
        rows: Which of them; with recipes, what `Recipes.rows` returned, and the loss is that of what it was given.
        recipes: What changes inputs and loss.
        n_pass: Which of the recipes' passes of these rows this is, from 0.
    """
    batch = recipes.changed(split.batch(rows).to(next(model.parameters()).device), split)
    with CpuKernels(), recipes.embedding(model, batch, n_pass):
        outputs = split.family.forward(model, batch)
    return recipes.loss(split.family.loss(outputs, batch), outputs, batch, split.family)
