"""What a trial returns: its measurement, and the adapter it trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from autopeft.budget import Budget
from autopeft.configuration import Configuration


@dataclass(frozen=True)
class Assignment:
    """One trial to run: everything that decides its outcome on a given backbone and task."""

    trial: int
    """The trial's number in its study."""
    configuration: Configuration
    budget: Budget
    seed: int
    """Seeds the head's and the modules' initial values, the order of batches and dropout."""


@dataclass(frozen=True)
class CurvePoint:
    """One evaluation during training."""

    epoch: int
    """Epochs done, from 1."""
    examples_seen: int
    """Training examples done, repeats counted."""
    train_loss: float
    """Mean loss per example over the epoch."""
    metrics: Mapping[str, float]
    """Validation metrics by name."""


@dataclass(frozen=True)
class Measurement:
    """What training one configuration gave and cost."""

    metrics: Mapping[str, float]
    """Validation metrics by name, after the last epoch."""
    curve: tuple[CurvePoint, ...]
    """One point per epoch; the last has the same metrics."""
    trainable_parameters: int
    """Parameters of the PEFT modules, as built; the task head is not counted."""
    head_parameters: int
    """Parameters of the task head, trained in every configuration."""
    seconds: float
    """Wall-clock seconds of the whole trial: injection, training, evaluation."""
    train_seconds: float
    """Wall-clock seconds of the training steps alone."""
    peak_bytes: int
    """Largest memory in use during the trial: allocated on the GPU, or resident in the process on the CPU."""
    examples_seen: int
    """Training examples processed, repeats counted."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: with a measurement and its adapter, or with an error."""

    assignment: Assignment
    measurement: Measurement | None = None
    adapter: Mapping[str, bytes] = field(default_factory=dict)
    """The trained adapter's files by name, as `autopeft.methods.checkpoint` packs them; workers share no file system."""
    error: str = ""
    """One line that says what went wrong; empty if nothing did."""
    traceback: str = ""
    """The full text of the error, for the run directory."""
