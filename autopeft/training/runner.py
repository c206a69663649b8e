"""Runs trials, one after another, on one resident backbone."""

import time
import traceback
from collections.abc import Mapping
from typing import Any

import torch

from autopeft.budget import Budget
from autopeft.errors import AutopeftError
from autopeft.methods.checkpoint import pack
from autopeft.methods.compose import apply
from autopeft.methods.discovery import discover
from autopeft.training.device import has_bfloat16, peak_memory_bytes, pick_device, reset_peak_memory
from autopeft.training.evaluate import evaluate
from autopeft.training.loop import EpochResult, train
from autopeft.training.measurement import Assignment, BackboneFacts, CurvePoint, Measurement, Outcome, RunnerSettings
from autopeft.training.model import load_model, start_head
from autopeft.training.tokens import TokenisedSplit, collate, tokenise

N_DISCOVERY_EXAMPLES = 2


class TrialRunner:
    """A backbone, its tokenizer and tokenised data, loaded once; each trial injects its modules, trains, and ejects them.

    Args:
        settings: What to load.

    Raises:
        UnavailableError: The model can't be loaded.
    """

    def __init__(self, settings: RunnerSettings) -> None:
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        self._settings = settings
        self._device = pick_device()
        self._loaded = load_model(settings.backbone, settings.task, self._device)
        self._splits: dict[Budget, tuple[TokenisedSplit, TokenisedSplit]] = {}
        self._bfloat16: bool = has_bfloat16(self._device)
        self._topology = discover(self._loaded.model, self._example_batch(), extra_trainable=self._loaded.fresh)

    def describe(self) -> BackboneFacts:
        """Return what the driver needs to know of the backbone."""
        return BackboneFacts(
            topology=self._topology,
            backbone_parameters=self._topology.size - self._topology.head_size,
            head_parameters=self._topology.head_size,
            device=str(self._device),
            precision="bf16" if self._bfloat16 else "fp32",
        )

    def run(self, assignment: Assignment) -> Outcome:
        """Train and measure one configuration. Errors are part of the outcome and leave the backbone as it was."""
        try:
            return self._run(assignment)
        except (AutopeftError, RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            return Outcome(assignment, error=reason, traceback=traceback.format_exc())

    def _run(self, assignment: Assignment) -> Outcome:
        model, tokenizer, task = self._loaded.model, self._loaded.tokenizer, self._settings.task
        train_split, validation = self._data(assignment.budget)  # tokenised once, and not by the first trial's clock
        start = time.perf_counter()
        reset_peak_memory(self._device)
        curve: list[CurvePoint] = []
        evaluation_seconds = 0.0

        def after_epoch(result: EpochResult) -> None:
            nonlocal evaluation_seconds
            began = time.perf_counter()
            last = result.epoch == assignment.budget.epochs  # the numbers that are kept must come out the same anywhere
            metrics = evaluate(model, tokenizer, task, validation, bfloat16=self._bfloat16 and not last)
            curve.append(CurvePoint(result.epoch, result.examples_seen, result.train_loss, metrics))
            evaluation_seconds += time.perf_counter() - began

        with torch.random.fork_rng():
            torch.manual_seed(assignment.seed)
            applied = apply(model, assignment.configuration, topology=self._topology)
            try:
                trainable_parameters = applied.parameter_count
                start_head(model, self._topology.head, assignment.seed, task, train_split.labels)
                began = time.perf_counter()
                train(
                    model,
                    applied.trainable_parameters().values(),
                    tokenizer,
                    task,
                    train_split,
                    hyper_parameters=assignment.configuration.training,
                    epochs=assignment.budget.epochs,
                    batch_size=assignment.budget.batch_size,
                    seed=assignment.seed,
                    bfloat16=self._bfloat16,
                    after_epoch=after_epoch,
                )
                train_seconds = time.perf_counter() - began - evaluation_seconds
                adapter = pack(applied, self._metadata(assignment, curve[-1].metrics))
            finally:
                applied.eject()
        measurement = Measurement(
            metrics=curve[-1].metrics,
            curve=tuple(curve),
            trainable_parameters=trainable_parameters,
            head_parameters=self._topology.head_size,
            seconds=time.perf_counter() - start,
            train_seconds=train_seconds,
            peak_bytes=peak_memory_bytes(self._device),
            examples_seen=curve[-1].examples_seen,
        )
        return Outcome(assignment, measurement, adapter)

    def _data(self, budget: Budget) -> tuple[TokenisedSplit, TokenisedSplit]:
        if budget not in self._splits:
            tokenizer, length = self._loaded.tokenizer, budget.max_length
            self._splits[budget] = (
                tokenise(tokenizer, self._settings.train, length, budget.train_examples),
                tokenise(tokenizer, self._settings.validation, length, budget.evaluation_examples),
            )
        return self._splits[budget]

    def _example_batch(self) -> dict[str, torch.Tensor]:
        few = tokenise(self._loaded.tokenizer, self._settings.train, 16, N_DISCOVERY_EXAMPLES)
        batch = collate(self._loaded.tokenizer, few, range(len(few)))
        return {name: tensor.to(self._device) for name, tensor in batch.items()}

    def _metadata(self, assignment: Assignment, metrics: Mapping[str, float]) -> dict[str, Any]:
        return {
            "task": self._settings.task.to_dict(),
            "trial": assignment.trial,
            "seed": assignment.seed,
            "budget": assignment.budget.to_dict(),
            "metrics": dict(metrics),
        }
