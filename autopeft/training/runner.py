"""Runs trials, one after another, on one resident backbone."""

import math
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from autopeft.budget import Budget
from autopeft.errors import AutopeftError, hides_a_stop
from autopeft.methods.adapter_files import DESCRIPTION, read_description, tensors_of
from autopeft.methods.checkpoint import pack, unpack
from autopeft.methods.compose import apply
from autopeft.methods.discovery import discover
from autopeft.methods.positions import n_positions
from autopeft.tasks import Encoded, Split, Task, family_of
from autopeft.training.batches import draw
from autopeft.training.device import (
    Clock,
    has_bfloat16,
    is_out_of_memory,
    peak_memory_bytes,
    pick_device,
    release_memory,
    reset_peak_memory,
)
from autopeft.training.evaluate import evaluate, predict, resampled_scores, score_generated
from autopeft.training.final import BestEpoch
from autopeft.training.hidden_states import FrozenPart, HiddenStates
from autopeft.training.hooks import TrainingHooks
from autopeft.training.latency import latency_seconds
from autopeft.training.loop import Training
from autopeft.training.measurement import (
    Assignment,
    BackboneFacts,
    Checkpoint,
    CurvePoint,
    FinalMeasurement,
    Measurement,
    Outcome,
    RunnerSettings,
    Trained,
)
from autopeft.training.model import example_inputs, load_model, start_head


class TrialRunner:
    """A backbone, its tokenizer and encoded data, loaded once; each trial injects its modules, trains, and ejects them.

    Args:
        settings: What to load.

    Raises:
        UnavailableError: The model can't be loaded.
        InvalidInputError: Examples of the settings' budget can't be encoded.
    """

    def __init__(self, settings: RunnerSettings) -> None:
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        self._settings = settings
        self._device = pick_device()
        self._family = family_of(settings.task)
        self._loaded = load_model(settings.backbone, self._family, self._device)
        self._splits: dict[Budget, tuple[Encoded, Encoded]] = {}
        self._bfloat16: bool = has_bfloat16(self._device)
        self._n_positions = n_positions(self._loaded.model)
        example_batch = example_inputs(self._loaded, self._family)
        self._topology = discover(self._loaded.model, example_batch, extra_trainable=self._loaded.fresh)
        self._hidden_states = HiddenStates(self._loaded.model, self._topology, example_batch, settings.cache_bytes)
        if settings.budget is not None:
            self._data(settings.budget)

    def describe(self) -> BackboneFacts:
        """Return what the driver needs to know of the backbone."""
        return BackboneFacts(
            topology=self._topology,
            backbone_parameters=self._topology.size - self._topology.head_size,
            head_parameters=self._topology.head_size,
            device=str(self._device),
            precision="bf16" if self._bfloat16 else "fp32",
            n_positions=self._n_positions,
            n_cut=0 if self._settings.budget is None else self._data(self._settings.budget)[0].n_cut,
        )

    def run(self, assignment: Assignment) -> Outcome:
        """Train and measure one configuration. Errors are part of the outcome and leave the backbone as it was.

        Where memory runs out it is tried again, each time with half as many examples at once; the steps stay the same.
        """
        micro_batch = assignment.budget.batch_size
        while True:
            try:
                return self._run(assignment, micro_batch) if assignment.trained is None else self._measure(assignment, assignment.trained)
            except Exception as error:  # a method may be anybody's own, and raise anything
                if hides_a_stop(error):
                    raise KeyboardInterrupt from error
                no_room = is_out_of_memory(error)
                if not no_room or micro_batch == 1 or self._family.needs_whole_batches:
                    return Outcome(assignment, error=_reason(error), traceback=traceback.format_exc(), out_of_memory=no_room)
            # Only here: the error's traceback holds the tensors that there was no room for.
            micro_batch = (micro_batch + 1) // 2
            release_memory(self._device)

    def _run(self, assignment: Assignment, micro_batch: int) -> Outcome:
        model, budget = self._loaded.model, assignment.budget
        train_split, validation = self._data(budget)  # encoded once, and not by the first trial's clock
        clock = Clock(self._device)
        reset_peak_memory(self._device)
        with torch.random.fork_rng():
            torch.manual_seed(assignment.seed)
            applied = apply(model, assignment.configuration, topology=self._topology)
            try:
                trainable_parameters = applied.parameter_count
                start_head(model, self._topology.head, assignment.seed, train_split)
                frozen = self._hidden_states.below(applied, train_split)
                training = Training(
                    model,
                    applied.trainable_parameters(),
                    TrainingHooks(applied),
                    train_split,
                    hyper_parameters=assignment.configuration.training,
                    epochs=budget.epochs,
                    batch_size=budget.batch_size,
                    seed=assignment.seed,
                    bfloat16=self._bfloat16,
                    frozen=frozen,
                    micro_batch=micro_batch,
                )
                if assignment.checkpoint is not None:
                    training.restore(assignment.checkpoint.state)
                best = BestEpoch(tensors_of(applied), self._family) if assignment.keeps_best else None
                curve, train_seconds = self._train(training, assignment, validation, frozen, best)
                done = curve[-1].progress == 1
                kept = curve[-1] if best is None else best.restore()
                task = self._tuned(validation, frozen) if done else self._settings.task
                final = None if best is None else self._test(task, kept.epoch, budget)
                adapter = pack(applied, self._metadata(task, assignment, kept.metrics)) if done else {}
                state = b"" if done else training.state()
                peak_bytes = peak_memory_bytes(self._device)  # before a merge to measure latency clones weights
                latency = latency_seconds(applied, validation) if done and self._settings.latency else None
            finally:
                applied.eject()
        measurement = Measurement(
            metrics=kept.metrics,
            curve=tuple(curve),
            trainable_parameters=trainable_parameters,
            head_parameters=self._topology.head_size,
            seconds=clock.seconds,
            train_seconds=train_seconds,
            peak_bytes=peak_bytes,
            examples_seen=curve[-1].examples_seen,
            cpu_seconds=clock.cpu_seconds,
            gpu_seconds=clock.gpu_seconds,
            latency_seconds=latency,
            not_reused=frozen.reason,
            progress=curve[-1].progress,
            final=final,
        )
        return Outcome(assignment, _joined(assignment.checkpoint, measurement), adapter, state=state)

    def _train(
        self, training: Training, assignment: Assignment, validation: Encoded, frozen: FrozenPart, best: BestEpoch | None
    ) -> tuple[list[CurvePoint], float]:
        """Train and measure as the assignment says; return a point per measurement, and the seconds of the steps alone."""
        curve, seconds = [], 0.0
        steps_per_epoch = training.n_steps // assignment.budget.epochs
        for progress in assignment.measure_at:
            began = time.perf_counter()
            stretch = training.advance(max(1, round(progress * training.n_steps)))
            seconds += time.perf_counter() - began
            # The numbers that are kept must come out the same anywhere; those on the way need only be cheap.
            metrics = evaluate(
                self._loaded.model,
                validation,
                bfloat16=self._bfloat16 and progress < 1 and best is None,
                frozen=frozen,
            )
            epoch = stretch.step / steps_per_epoch
            curve.append(CurvePoint(epoch, progress, stretch.examples_seen, stretch.train_loss, metrics))
            if best is not None and training.may_be_kept:
                best.offer(curve[-1])
        return curve, seconds

    def _tuned(self, validation: Encoded, frozen: FrozenPart) -> Task:
        """Return the task with what is tuned for the model as it is now, by the examples that it is measured on."""
        if not self._family.is_tuned:
            return self._settings.task
        return self._family.tuned(predict(self._loaded.model, validation, frozen=frozen), validation)

    def _measure(self, assignment: Assignment, trained: Trained) -> Outcome:
        """Measure on test examples what was trained without them."""
        assert trained.measurement.final is not None, "its best epoch was kept"
        task = Task.from_dict(read_description(trained.adapter[DESCRIPTION])["metadata"]["task"])  # with what was tuned
        with torch.random.fork_rng():
            applied = unpack(self._loaded.model, trained.adapter, topology=self._topology)
            try:
                final = self._test(task, trained.measurement.final.epoch, assignment.budget)
            finally:
                applied.eject()
        return Outcome(assignment, replace(trained.measurement, final=final), trained.adapter)

    def _test(self, task: Task, epoch: float, budget: Budget) -> FinalMeasurement:
        if self._settings.test is None:
            return FinalMeasurement(epoch)
        split = family_of(task).encode(self._loaded.processor, self._settings.test, budget.max_length)
        predictions = predict(self._loaded.model, split)
        scores = split.family.score(predictions, split) | score_generated(self._loaded.model, split)
        return FinalMeasurement(epoch, scores, resampled_scores(predictions, split))

    def _data(self, budget: Budget) -> tuple[Encoded, Encoded]:
        if budget not in self._splits:
            self._splits[budget] = (
                self._encode(draw(self._settings.train, budget.train_examples), budget.max_length, training=True),
                self._encode(draw(self._settings.validation, budget.evaluation_examples), budget.max_length),
            )
        return self._splits[budget]

    def _encode(self, split: Split, max_length: int, *, training: bool = False) -> Encoded:
        return self._family.encode(self._loaded.processor, split, max_length, training=training)

    def _metadata(self, task: Task, assignment: Assignment, metrics: Mapping[str, float]) -> dict[str, Any]:
        return {
            "task": task.to_dict(),
            "trial": assignment.trial,
            "seed": assignment.seed,
            "budget": assignment.budget.to_dict(),
            "metrics": {name: value for name, value in metrics.items() if math.isfinite(value)},
        }


def _reason(error: Exception) -> str:
    """Return an error in one line; the text alone of a KeyError or the like says little."""
    text = next(iter(str(error).strip().splitlines()), "")
    if text and isinstance(error, (AutopeftError, RuntimeError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _joined(checkpoint: Checkpoint | None, later: Measurement) -> Measurement:
    """Return what all assignments of a trial measured and cost together."""
    if checkpoint is None:
        return later
    earlier = checkpoint.measurement
    return replace(
        later,
        curve=earlier.curve + later.curve,
        seconds=earlier.seconds + later.seconds,
        train_seconds=earlier.train_seconds + later.train_seconds,
        peak_bytes=max(earlier.peak_bytes, later.peak_bytes),
        cpu_seconds=earlier.cpu_seconds + later.cpu_seconds,
        gpu_seconds=earlier.gpu_seconds + later.gpu_seconds,
    )
