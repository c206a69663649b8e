"""Runs trials on one resident backbone: one after another, or several at once in threads of their own."""

import math
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn

from autopeft.budget import Budget
from autopeft.errors import AutopeftError, hides_a_stop
from autopeft.methods.adapter_files import DESCRIPTION, read_description, tensors_of
from autopeft.methods.applied import AppliedModules
from autopeft.methods.checkpoint import pack, unpack
from autopeft.methods.compose import apply
from autopeft.methods.counting import count_parameters
from autopeft.methods.discovery import discover
from autopeft.methods.positions import n_positions
from autopeft.tasks import Encoded, Family, Task, family_of
from autopeft.tasks.details import Detail
from autopeft.tasks.generated import details_of
from autopeft.tasks.text_scores import means
from autopeft.training.batches import batch_sizes
from autopeft.training.checkpointing import checkpoint_blocks
from autopeft.training.device import (
    device_bytes,
    environment,
    has_bfloat16,
    has_failed_device,
    is_out_of_memory,
    make_current,
    new_stream,
    own_draws,
    pick_device,
    release_memory,
    synchronize,
)
from autopeft.training.evaluate import predict, resampled_scores, resampled_texts, score, write
from autopeft.training.examples import Examples, Seen
from autopeft.training.failures import out_of_memory_reason, reason
from autopeft.training.final import BestEpoch
from autopeft.training.hidden_states import FrozenPart, HiddenStates
from autopeft.training.hooks import TrainingHooks
from autopeft.training.latency import latency_seconds
from autopeft.training.live import LiveCurve
from autopeft.training.loop import Training
from autopeft.training.measurement import (
    Assignment,
    BackboneFacts,
    CurvePoint,
    FinalMeasurement,
    Measurement,
    Outcome,
    RunnerSettings,
    Trained,
)
from autopeft.training.metering import Meter, Usage
from autopeft.training.model import attention_of, example_inputs, load_model, start_head
from autopeft.training.precision import HALF, SHORT_NAMES, products, weights_dtype
from autopeft.training.readable import require_example
from autopeft.training.recipes import Recipes
from autopeft.training.recipes.budgets import trained_budget
from autopeft.training.seats import BYTES_PER_PARAMETER, MemoryForecast, Seat, Seats
from autopeft.training.skeletons import skeleton
from autopeft.training.turns import ALONE, TrialStop, Turn, Turns


class Place(NamedTuple):
    """What a trial under way has for itself."""

    model: nn.Module
    hidden_states: HiddenStates
    stream: AbstractContextManager[object]
    """Orders what it asks of a GPU, apart from what others ask."""


class TrialRunner:
    """A backbone, its tokenizer and encoded data, loaded once; each trial injects its modules, trains, and ejects them.

    `run` may be called from as many threads as `RunnerSettings.pack` says. Each trial has a copy of the modules over the same weights, and
    its losses, metrics and tensors are what they would be alone: on a processor in float32 to the last bit.

    Args:
        settings: What to load.

    Raises:
        DeviceError: The device is not there.
        UnavailableError: The model can't be loaded.
        InvalidInputError: Examples of the settings' budget can't be encoded.
        UnsupportedError: The model can't be shared by several trials, and is to be.
    """

    def __init__(self, settings: RunnerSettings) -> None:
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        self._settings = settings
        self._device = pick_device(settings.device)
        make_current(self._device)
        self._environment = environment(self._device)  # now, while the device answers
        self._family = family_of(settings.task)
        self._loaded = load_model(settings.backbone, self._family, self._device, keeps_dtype=True)
        self._dtype = weights_dtype(settings.backbone.dtype, self._device)
        self._half = self._dtype if self._dtype in HALF else None
        self.examples = Examples(settings, self._family, self._loaded)
        self._seen = Seen({}, ())
        self._bfloat16 = self._half is None and has_bfloat16(self._device)
        self._n_positions = n_positions(self._loaded.model)
        example_batch = example_inputs(self._loaded, self._family)
        with products(self._device, self._half):
            require_example(self._loaded.model, example_batch, self._family)
            self._topology = discover(self._loaded.model, example_batch, extra_trainable=self._loaded.fresh)
            # What one trial's modules leave as they were must not require gradient in another's.
            self._loaded.model.requires_grad_(False)
            self._hidden_states = HiddenStates(self._loaded.model, self._topology, example_batch, settings.cache_bytes)
        self._pack = settings.pack or (settings.most_packed if self._device.type == "cuda" else 1)
        self.turns = Turns(self._device)
        self._meter = Meter(self._device)
        self._n_threads = torch.get_num_threads()
        self._memory = MemoryForecast(self._device, must_measure=settings.pack is None)
        skeletons = [skeleton(self._loaded.model) for _ in range(self._pack - 1)]
        places = [Place(self._loaded.model, self._hidden_states, nullcontext())] + [
            Place(model, self._hidden_states.on(model), new_stream(self._device)) for model in skeletons
        ]
        self._seats = Seats(places, self._memory.fits)
        if settings.budget is not None:
            with products(self._device, self._half):
                self._seen = self.examples.seen(settings.budget)
        synchronize(self._device)

    def describe(self) -> BackboneFacts:
        """Return what the driver needs to know of the backbone."""
        return BackboneFacts(
            topology=self._topology,
            backbone_parameters=self._topology.size - self._topology.head_size,
            head_parameters=self._topology.head_size,
            device=str(self._device),
            precision=SHORT_NAMES[torch.bfloat16 if self._bfloat16 else self._dtype],
            dtype=str(self._dtype).removeprefix("torch."),
            attention=attention_of(self._loaded.model),
            device_bytes=device_bytes(self._device),
            n_positions=self._n_positions,
            pack=self._pack,
            lengths=self._seen.lengths,
            notes=self._seen.notes,
        )

    def stop(self) -> None:
        """End all trials under way in other threads; they leave the backbone as it was and raise a `TrialStop`."""
        self._seats.stop()
        self.turns.stop()

    def run(self, assignment: Assignment) -> Outcome:
        """Train and measure one configuration. Errors are part of the outcome and leave the backbone as it was.

        Where memory runs out it is tried again: with half as many trials under way, in the end alone; then with the blocks' layers computed
        twice instead of kept; and then each time with half as many examples at once. The steps stay the same.

        Raises:
            TrialStop: Another thread has called `stop`.
        """
        micro_batch: int | None = None
        checkpoints, most = self._settings.gradient_checkpointing == "on", self._pack
        while True:
            seat = self._seats.take(self._resident_bytes(assignment), most)
            turn = self.turns.join() if self._pack > 1 else ALONE
            try:
                self._prepare_thread()
                turn.take()
                with seat.place.stream, products(self._device, self._half):
                    if assignment.trained is not None:
                        found = self._measure(assignment, assignment.trained, seat.place.model, turn)
                    else:
                        found = self._run(assignment, micro_batch, seat, turn, checkpoints=checkpoints)
                    return replace(found, environment=self._environment | _economies(micro_batch, checkpoints))
            except (KeyboardInterrupt, TrialStop):
                raise
            except BaseException as error:  # a method may be anybody's own, and raise anything; a library in Rust panics
                if hides_a_stop(error):
                    raise KeyboardInterrupt from error
                no_room = is_out_of_memory(error)
                may_checkpoint = not checkpoints and self._settings.gradient_checkpointing == "auto"
                is_smallest = not may_checkpoint and (micro_batch == 1 or self._family.needs_whole_batches)
                if not no_room or (seat.n_packed == 1 and is_smallest):
                    return Outcome(
                        assignment,
                        error=out_of_memory_reason(error) if no_room else reason(error),
                        traceback=traceback.format_exc(),
                        out_of_memory=no_room,
                        device_failed=has_failed_device(error),
                        environment=self._environment | _economies(micro_batch, checkpoints),
                    )
            finally:
                self._seats.leave(seat)
                turn.give()
            # Only here: the error's traceback holds the tensors that there was no room for.
            if seat.n_packed > 1:
                most = seat.n_packed // 2
            elif may_checkpoint:
                checkpoints = True
            else:
                budget = self._budget(assignment)
                whole = max(batch_sizes(self.examples.of(budget)[0], budget))
                micro_batch = ((micro_batch or whole) + 1) // 2
            release_memory(self._device)

    def _prepare_thread(self) -> None:
        """Set what torch keeps for each thread."""
        if self._pack > 1:
            torch.set_num_threads(self._n_threads)
        make_current(self._device)

    def _resident_bytes(self, assignment: Assignment) -> int:
        """Return what a trial's trained parameters take."""
        try:
            parameters = count_parameters(assignment.configuration, self._topology)
        except AutopeftError:  # which the trial itself will meet
            parameters = 0
        return BYTES_PER_PARAMETER * (parameters + self._topology.head_size)

    def _run(self, assignment: Assignment, micro_batch: int | None, seat: Seat[Place], turn: Turn, *, checkpoints: bool) -> Outcome:
        model, budget = seat.place.model, self._budget(assignment)
        train_split, validation = self.examples.of(budget, model)  # encoded once, and not by the first trial's clock
        with self._meter.running() as usage, self._carrying(assignment, seat.place, train_split) as (applied, frozen, recipes):
            trainable_parameters = applied.parameter_count
            if checkpoints:
                checkpoint_blocks(model, self._topology)
            training = Training(
                model,
                applied.trainable_parameters(),
                TrainingHooks(applied, recipes),
                train_split,
                hyper_parameters=assignment.configuration.training,
                budget=budget,
                seed=assignment.seed,
                bfloat16=self._bfloat16,
                frozen=frozen,
                micro_batch=micro_batch,
                float16=self._half == torch.float16,
                draws_backwards=checkpoints,
                turn=turn,
                live=LiveCurve(self._settings.trials, assignment.trial),
                recipes=recipes,
            )
            if assignment.checkpoint is not None:
                training.restore(assignment.checkpoint.state)
            best = BestEpoch(tensors_of(applied), self._family) if assignment.keeps_best else None
            curve, train_seconds, predictions = self._train(training, assignment, validation, frozen, best, usage, turn)
            done = curve[-1].progress == 1
            kept = curve[-1] if best is None else best.restore()
            task = self._family.tuned(predictions, validation) if done else self._settings.task
            final: FinalMeasurement | None = None
            details: tuple[Detail, ...] = ()
            if best is not None:
                final, details = self._test(model, task, kept.epoch, budget, turn)
            if done and self._settings.test is None:
                details = _details(family_of(task), predictions, validation, kept.metrics)
            if done and self._family.is_measured_by_writing and _are_finite(kept.metrics):
                written = write(model, validation)
                kept = replace(kept, metrics={**kept.metrics, **self._family.score_written(written)})
                details += () if self._settings.test is not None else tuple(details_of(written))
            adapter = pack(applied, self._metadata(task, assignment, kept.metrics)) if done else {}
            state = b"" if done else training.state()
            peak_bytes = usage.peak_now()  # before a merge to measure latency clones weights
            latency = latency_seconds(applied, validation) if done and self._settings.latency else None
        self._memory.learn(peak_bytes, seat.n_packed, seat.resident_bytes)
        measurement = Measurement(
            metrics=kept.metrics,
            curve=tuple(curve),
            trainable_parameters=trainable_parameters,
            head_parameters=self._topology.head_size,
            seconds=usage.seconds,
            train_seconds=train_seconds,
            peak_bytes=peak_bytes,
            examples_seen=curve[-1].examples_seen,
            cpu_seconds=usage.cpu_seconds,
            gpu_seconds=usage.seconds if self._device.type != "cpu" else 0.0,
            latency_seconds=latency,
            not_reused=frozen.reason,
            progress=curve[-1].progress,
            final=final,
            n_packed=seat.n_packed,
        )
        if assignment.checkpoint is not None:
            measurement = measurement.after(assignment.checkpoint.measurement)
        return Outcome(assignment, measurement, adapter, state=state, details=details)

    @contextmanager
    def _carrying(self, assignment: Assignment, place: Place, train_split: Encoded) -> Iterator[tuple[AppliedModules, FrozenPart, Recipes]]:
        """Have a model carry a configuration within this context; what is drawn at random follows from the assignment's seed."""
        with own_draws(self._device), ExitStack() as after:
            torch.manual_seed(assignment.seed)
            applied = apply(place.model, assignment.configuration, topology=self._topology)
            after.callback(applied.eject)
            recipes = Recipes(assignment.configuration.training, applied, self._family)
            start_head(place.model, self._topology.head, assignment.seed, train_split)
            after.callback(recipes.undo)
            recipes.prepare(assignment.seed)
            frozen = place.hidden_states.below(applied, train_split, recipes.input_noise)
            after.callback(frozen.release)
            yield applied, frozen, recipes

    def _train(
        self,
        training: Training,
        assignment: Assignment,
        validation: Encoded,
        frozen: FrozenPart,
        best: BestEpoch | None,
        usage: Usage,
        turn: Turn,
    ) -> tuple[list[CurvePoint], float, Sequence[Any]]:
        """Train and measure as the assignment says.

        Returns:
            A point per measurement; the seconds of the steps alone; the predictions of the measurement that is kept, the last or the best.
        """
        curve, seconds = [], 0.0
        kept: Sequence[Any] = ()
        steps_per_epoch = training.n_steps // self._budget(assignment).epochs
        training.cache_hidden_states()
        for progress in assignment.measure_at:
            began = usage.seconds_now()
            reached = training.advance(max(1, round(progress * training.n_steps)))
            with turn.away():
                synchronize(self._device)  # the last step's backward pass may be under way
            seconds += usage.seconds_now() - began
            # The numbers that are kept must come out the same anywhere; those on the way need only be cheap.
            in_bfloat16 = self._bfloat16 and progress < 1 and best is None
            predictions = predict(training.model, validation, bfloat16=in_bfloat16, frozen=frozen, turn=turn)
            metrics = score(predictions, validation)
            epoch = reached.step / steps_per_epoch
            curve.append(CurvePoint(epoch, progress, reached.examples_seen, reached.train_loss, metrics))
            if best is None or (training.may_be_kept and best.offer(curve[-1])):
                kept = predictions
        return curve, seconds, kept

    def _measure(self, assignment: Assignment, trained: Trained, model: nn.Module, turn: Turn) -> Outcome:
        """Measure on test examples what was trained without them."""
        assert trained.measurement.final is not None, "its best epoch was kept"
        task = Task.from_dict(read_description(trained.adapter[DESCRIPTION])["metadata"]["task"])  # with what was tuned
        with own_draws(self._device):
            applied = unpack(model, trained.adapter, topology=self._topology)
            try:
                final, details = self._test(model, task, trained.measurement.final.epoch, assignment.budget, turn)
            finally:
                applied.eject()
        return Outcome(assignment, replace(trained.measurement, final=final), trained.adapter, details=details)

    def _test(self, model: nn.Module, task: Task, epoch: float, budget: Budget, turn: Turn) -> tuple[FinalMeasurement, tuple[Detail, ...]]:
        """Return what test examples say of the model as it is now, and what there is to look at; nothing where there are none."""
        if (test := self.examples.test(budget.max_length)) is None:
            return FinalMeasurement(epoch), ()
        split = replace(test, family=family_of(task))  # with what is tuned
        predictions = predict(model, split, turn=turn)
        scores, written = split.family.score(predictions, split), write(model, split)
        details = (*_details(split.family, predictions, split, scores), *details_of(written))
        resampled = resampled_scores(predictions, split)
        if written:
            each = split.family.score_each_written(written)  # once: an own score may take long
            scores |= means(each) | split.family.score_written_together(written)
            resampled |= resampled_texts(split.family, written, each)
        return FinalMeasurement(epoch, scores, resampled), details

    def _budget(self, assignment: Assignment) -> Budget:
        """Return what the configuration makes of the assignment's budget."""
        return trained_budget(assignment.budget, assignment.configuration.training, len(self._settings.train))

    def _metadata(self, task: Task, assignment: Assignment, metrics: Mapping[str, float]) -> dict[str, Any]:
        return {
            "task": task.to_dict(),
            "trial": assignment.trial,
            "seed": assignment.seed,
            "budget": assignment.budget.to_dict(),
            "metrics": {name: value for name, value in metrics.items() if math.isfinite(value)},
            "dtype": str(self._dtype).removeprefix("torch."),
        }


def _details(family: Family, predictions: Sequence[Any], split: Encoded, scores: Mapping[str, float]) -> tuple[Detail, ...]:
    """Return what there is to look at; of a model that diverged nothing is."""
    return tuple(family.details(predictions, split)) if _are_finite(scores) else ()


def _are_finite(scores: Mapping[str, float]) -> bool:
    return all(map(math.isfinite, scores.values()))


def _economies(micro_batch: int | None, checkpoints: bool) -> dict[str, str]:
    """Return by what a trial was made to take less memory."""
    found = {"gradient_checkpointing": "on"} if checkpoints else {}
    return found if micro_batch is None else found | {"micro_batch": str(micro_batch)}
