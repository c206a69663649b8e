"""What travels between the driver and the workers: what to load, what to run, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from autopeft.budget import Budget
from autopeft.configuration import Configuration
from autopeft.costs import Costs, recorded_costs, total
from autopeft.methods.topology import Topology
from autopeft.tasks import Split, Task
from autopeft.tasks.details import Detail
from autopeft.training.backbone import BackboneSource

MOST_BY_ITSELF = 4
"""Trials under way at once on a GPU where nobody says how many."""


@dataclass(frozen=True)
class RunnerSettings:
    """All that a worker needs before it can run trials."""

    backbone: BackboneSource
    task: Task
    train: Split
    validation: Split
    plugins: tuple[str, ...] = ()
    """Own Python files that register the methods to be used."""
    device: str = "auto"
    """What to train on, as `autopeft.training.device.pick_device` takes it."""
    threads: int | None = None
    """CPU threads for torch; None leaves torch's own choice."""
    gradient_checkpointing: str = "auto"
    """Whether blocks' layers are computed again in the backward pass instead of kept: "on", "off", or "auto": where memory runs out."""
    cache_bytes: int = 2**30
    """Memory in which a worker may keep the hidden states of frozen layers."""
    pack: int | None = 1
    """Trials that may be under way in a worker at once, over one backbone; None: on a GPU as many as are of use and fit, else one."""
    latency: bool = False
    """Whether to time a forward pass after training."""
    budget: Budget | None = None
    """What trials will spend: their examples are encoded at once, so that ones that can't be are an error before any trial. None: later."""
    trials: str | None = None
    """The run's folder of trials, where a worker that sees it writes how a training goes. None: nowhere."""
    test: Split | None = None
    """Examples to report on. None while searching."""

    @property
    def most_packed(self) -> int:
        """Trials that may be under way at once in a worker, whatever it runs on."""
        return self.pack or MOST_BY_ITSELF


@dataclass(frozen=True)
class BackboneFacts:
    """What a worker knows once it has loaded the backbone, and the driver needs without loading it."""

    topology: Topology
    """Layers, widths and linears, from which parameters are counted in closed form."""
    backbone_parameters: int
    """Parameters of the model without its task head."""
    head_parameters: int
    """Parameters of the task head, trained in every configuration."""
    device: str
    """Device that trials run on, such as "cpu"."""
    precision: str
    """Precision of the training steps' products: "bf16" (autocast), "fp16" (of float16 weights) or "fp32"."""
    n_positions: int | None = None
    """How many positions the backbone can read, those of a prompt among them; None: no limit is known."""
    pack: int = 1
    """Trials that may be under way in this worker at once."""
    lengths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Positions of each example of the settings' budget before it is cut, of "training" and "validation", where examples have lengths."""
    notes: tuple[str, ...] = ()
    """What this model makes difficult about these examples, one sentence each."""
    dtype: str = "float32"
    """Precision of the frozen matrices, as torch names it; vectors and all that is trained are float32."""
    attention: str = ""
    """The attention function that the model calls, by transformers' name."""
    device_bytes: int | None = None
    """Memory of the GPU; None without one."""


@dataclass(frozen=True)
class CurvePoint:
    """One evaluation during training."""

    epoch: float
    """Epochs done."""
    progress: float
    """Share of the budget's steps done, up to 1."""
    examples_seen: int
    """Training examples done, repeats counted."""
    train_loss: float
    """Mean since the point before of all terms of the loss, which are examples or tokens."""
    metrics: Mapping[str, float]
    """Validation metrics by name; those before the end are computed as fast as the machine can, which may be in bfloat16."""


@dataclass(frozen=True)
class FinalMeasurement:
    """What training that keeps its best epoch adds to a measurement."""

    epoch: float
    """The epoch that was kept: the best on validation data."""
    test_metrics: Mapping[str, float] = field(default_factory=dict)
    """Test metrics of that epoch by name; empty where there are no test examples."""
    resampled: Mapping[str, list[float]] = field(default_factory=dict)
    """The same on test examples drawn with replacement, one value a draw."""


@dataclass(frozen=True)
class Measurement:
    """What training one configuration gave and cost, all its assignments together."""

    metrics: Mapping[str, float]
    """Validation metrics by name, after the last step, or of the epoch that was kept."""
    curve: tuple[CurvePoint, ...]
    """One point per measurement, at least one."""
    trainable_parameters: int
    """Parameters of the PEFT modules, as built; the task head is not counted."""
    head_parameters: int
    """Parameters of the task head, trained in every configuration."""
    seconds: float
    """Wall-clock seconds of the whole trial: injection, training, evaluation. Of a second that n trials share, each has 1/n."""
    train_seconds: float
    """Wall-clock seconds of the training steps alone, shared likewise."""
    peak_bytes: int
    """Largest memory in use during the trial: allocated on the GPU, or resident in the process on the CPU; by all trials under way."""
    examples_seen: int
    """Training examples processed, repeats counted."""
    cpu_seconds: float = 0.0
    """Processor time of the worker, all its threads together, shared likewise."""
    gpu_seconds: float = 0.0
    """Wall-clock seconds with a GPU at hand; 0 on a machine without."""
    latency_seconds: float | None = None
    """Seconds of one forward pass, where `RunnerSettings.latency` asks for it."""
    not_reused: str = ""
    """Why hidden states below the modules were computed anew in every pass, as a clause; empty if they were reused."""
    progress: float = 1.0
    """Share of the budget's steps done: 1 for a final measurement, less for a paused trial's."""
    final: FinalMeasurement | None = None
    """Where the best epoch was kept: which it was, and its metrics on test examples."""
    n_packed: int = 1
    """Most trials that were under way in the worker at once, this one counted."""

    def after(self, earlier: "Measurement") -> "Measurement":
        """Return this measurement of a trial that had paused, with what was measured and spent until then."""
        spent = total(Costs(**recorded_costs(one)) for one in (earlier, self))
        counted = {"curve": earlier.curve + self.curve, "examples_seen": self.examples_seen}  # which counts from the trial's start
        return replace(self, **{**recorded_costs(spent), **counted})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote.

        Raises:
            TypeError: A field is missing or unknown.
        """
        final = data.get("final")
        curve = tuple(CurvePoint(**point) for point in data["curve"])
        return cls(**{**data, "curve": curve, "final": None if final is None else FinalMeasurement(**final)})


@dataclass(frozen=True)
class Checkpoint:
    """Where a trial paused: all that another worker needs to go on with it."""

    measurement: Measurement
    """What it has measured and cost so far."""
    state: bytes
    """Trained tensors, optimiser and random state."""


@dataclass(frozen=True)
class Trained:
    """A training that kept its best epoch and is done but for its measurement on test examples."""

    measurement: Measurement
    adapter: Mapping[str, bytes]
    """The adapter's files by name, as `autopeft.methods.checkpoint` packs them."""


@dataclass(frozen=True)
class Assignment:
    """One trial to run: everything that decides its outcome on a given backbone and task."""

    trial: int
    """The trial's number in its study."""
    configuration: Configuration
    budget: Budget
    seed: int
    """Seeds the head's and the modules' initial values, the order of batches and dropout."""
    measure_at: tuple[float, ...] = (1.0,)
    """Shares of the budget's steps after which to measure, rising. The trial pauses after the last of them, unless that is 1."""
    checkpoint: Checkpoint | None = None
    """Where an earlier assignment of the same trial paused; this one goes on from there."""
    keeps_best: bool = False
    """Whether the best measurement on validation data is kept, and not the last, and measured on test examples where there are any."""
    trained: Trained | None = None
    """What such an assignment came to where there were no test examples: nothing is trained, and this is measured on them."""
    patience: float = 1.0
    """Times as long as other trials it may take before it is given up."""


@dataclass(frozen=True)
class Outcome:
    """How an assignment ended: with a measurement and what training left, or with an error."""

    assignment: Assignment
    measurement: Measurement | None = None
    adapter: Mapping[str, bytes] = field(default_factory=dict)
    """The trained adapter's files by name, as `autopeft.methods.checkpoint` packs them; workers share no file system. Empty if paused."""
    state: bytes = b""
    """What training needs to go on, if the trial is paused."""
    details: tuple[Detail, ...] = ()
    """What people look at beyond metrics: of validation data, or where `RunnerSettings.test` holds examples, of these. Empty if paused."""
    error: str = ""
    """One line that says what went wrong; empty if nothing did."""
    traceback: str = ""
    """The full text of the error, for the run directory."""
    lost: bool = False
    """Whether the worker died of it: that may say nothing of the configuration, and the trial is worth another try."""
    device_failed: bool = False
    """Whether the GPU answers nothing in this process any more."""
    out_of_memory: bool = False
    """Whether there was no room for it, not even for one example at a time."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Where it ran: node, device, name of the GPU, and the variable that says which GPUs the process saw; and by what it was made to take
    less memory than it would have. Empty if the worker died."""

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Where the trial paused; None if it ended."""
        return Checkpoint(self.measurement, self.state) if self.measurement is not None and self.state else None
