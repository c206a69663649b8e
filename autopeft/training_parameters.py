"""What a configuration may say of its training beside the modules: rate, schedule, optimiser, and recipes, which are off unless asked for.

This is data alone: names, defaults, ranges and where each comes from. What they do stands in `autopeft.training.recipes`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from autopeft.errors import InvalidInputError, UnknownNameError

TrainingValue = float | str

FULL_WEIGHT_METHODS = frozenset({"full_fine_tuning", "gradual_unfreezing", "hft", "last_layers"})
"""PEFT methods that train whole layers of the backbone: what concerns pretrained weights needs one of them."""


@dataclass(frozen=True)
class TrainingParameter:
    """One number or word that a configuration may set."""

    name: str
    summary: str
    """What it does, in half a line."""
    default: TrainingValue
    """What is done without it; for a recipe that means it is off."""
    values: tuple[TrainingValue, ...] = ()
    """Values worth searching, the default first; for words all that there are."""
    low: float = 0.0
    high: float = math.inf
    """Smallest and largest number that makes sense."""
    paper: str = ""
    methods: frozenset[str] = frozenset()
    """PEFT methods of which a configuration must have one, for it to mean anything. Empty: any."""
    is_whole: bool = False
    """Whether it is a whole number."""
    is_always_kept: bool = False
    """Whether a configuration keeps the default too where it is given, as those did that recipes are younger than."""

    @property
    def is_word(self) -> bool:
        """Whether it is a name and not a number."""
        return isinstance(self.default, str)

    @property
    def can_be_off(self) -> bool:
        """Whether the default means that nothing is done."""
        return self.default in (0.0, 1.0) and not self.is_always_kept

    def read(self, value: object) -> TrainingValue:
        """Return a value as a configuration keeps it.

        Raises:
            InvalidInputError: It is no number, or one out of range.
            UnknownNameError: It is no known word.
        """
        if self.is_word:
            if value not in self.values:
                raise UnknownNameError(self.in_words, str(value), [str(one) for one in self.values])
            return str(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidInputError(f"training hyper-parameters must map names to numbers; {self.name} must be one", value=value)
        if not self.low <= value <= self.high or not math.isfinite(value):
            upper = "more" if self.high == math.inf else f"{self.high:g}"
            raise InvalidInputError(f"{self.name} must lie between {self.low:g} and {upper}", value=value)
        if self.is_whole and value != int(value):
            raise InvalidInputError(f"{self.name} must be a whole number", value=value)
        return float(value)

    @property
    def in_words(self) -> str:
        """The name as people read it."""
        return self.name.replace("_", " ")


_ALL = (
    TrainingParameter("learning_rate", "step size of the optimiser, at the schedule's peak", 1e-3, low=-math.inf, is_always_kept=True),
    TrainingParameter(
        "weight_decay",
        "decoupled decay of trained parameters towards zero",
        0.0,
        (0.0, 0.01, 0.1),
        low=-math.inf,
        paper="Loshchilov and Hutter, 2017, arXiv 1711.05101",
        is_always_kept=True,
    ),
    TrainingParameter(
        "warmup_fraction",
        "share of the steps over which the learning rate rises",
        0.06,
        (0.06, 0.0, 0.1, 0.2),
        low=-math.inf,
        is_always_kept=True,
    ),
    TrainingParameter(
        "schedule",
        "how the learning rate falls after the warm-up",
        "linear",
        ("linear", "cosine", "constant", "stable_decay"),
        paper="cosine: Loshchilov and Hutter, 2016, arXiv 1608.03983; stable_decay: Hu et al., 2024, arXiv 2404.06395",
    ),
    TrainingParameter(
        "optimizer",
        "what turns gradients into steps",
        "adamw",
        ("adamw", "nadam", "radam", "adafactor", "sgd", "lion", "adamw8bit", "lion8bit"),
        paper="AdamW: arXiv 1711.05101; Adafactor: Shazeer and Stern, 2018, arXiv 1804.04235; Lion: Chen et al., 2023, arXiv 2302.06675",
    ),
    TrainingParameter(
        "head_rate", "learning rate of the task head, times the others'", 1.0, (1.0, 0.1, 0.3, 3.0, 10.0), low=1e-4, high=1e4
    ),
    TrainingParameter(
        "layer_rate_decay",
        "factor on the learning rate from each layer to the one below it",
        1.0,
        (1.0, 0.95, 0.9, 0.8),
        low=0.01,
        high=1.0,
        paper="Howard and Ruder, 2018, arXiv 1801.06146; Clark et al., 2020, arXiv 2003.10555",
    ),
    TrainingParameter(
        "dropout_factor",
        "factor on the dropout of the layers that are trained; 0: none",
        1.0,
        (1.0, 0.0, 0.5, 2.0),
        high=10.0,
        paper="Srivastava et al., 2014, JMLR 15",
    ),
    TrainingParameter(
        "label_smoothing",
        "share of each target that is spread over all classes",
        0.0,
        (0.0, 0.05, 0.1, 0.2),
        high=0.99,
        paper="Szegedy et al., 2015, arXiv 1512.00567",
    ),
    TrainingParameter(
        "l2_start",
        "penalty on how far modules move from where they began",
        0.0,
        (0.0, 1e-3, 1e-2, 1e-1),
        paper="L2-SP: Li et al., 2018, arXiv 1802.01483",
    ),
    TrainingParameter(
        "mixout",
        "share of the pretrained weights that stand in, in each step, for what they have become",
        0.0,
        (0.0, 0.1, 0.5, 0.9),
        high=0.99,
        paper="Lee et al., 2019, arXiv 1909.11299",
        methods=FULL_WEIGHT_METHODS,
    ),
    TrainingParameter(
        "reinit_layers",
        "layers at the top that are drawn anew before training",
        0.0,
        (0.0, 1.0, 2.0, 3.0),
        paper="Zhang et al., 2020, arXiv 2006.05987",
        methods=FULL_WEIGHT_METHODS,
        is_whole=True,
    ),
    TrainingParameter(
        "r_drop",
        "weight of the divergence between two passes with other dropout",
        0.0,
        (0.0, 0.5, 1.0, 4.0),
        paper="Liang et al., 2021, arXiv 2106.14448",
    ),
    TrainingParameter(
        "embedding_noise",
        "uniform noise on the tokens' embeddings (NEFTune's alpha)",
        0.0,
        (0.0, 1.0, 5.0, 10.0),
        paper="Jain et al., 2023, arXiv 2310.05914",
    ),
    TrainingParameter(
        "adversarial_noise",
        "size of the noise on the embeddings that raises the loss most (FreeLB)",
        0.0,
        (0.0, 0.01, 0.1, 0.5),
        paper="Zhu et al., 2019, arXiv 1909.11764",
    ),
    TrainingParameter(
        "masked_thought",
        "share of the answer's tokens that are hidden from the model that continues it",
        0.0,
        (0.0, 0.1, 0.2, 0.4),
        high=0.99,
        paper="Chen et al., 2024, arXiv 2403.02178",
    ),
    TrainingParameter(
        "word_dropout",
        "share of a text's tokens that are hidden in each pass",
        0.0,
        (0.0, 0.05, 0.1, 0.2),
        high=0.99,
        paper="Iyyer et al., 2015 (ACL P15-1162); random deletion of Wei and Zou, 2019, arXiv 1901.11196",
    ),
    TrainingParameter(
        "word_swap",
        "swaps of two tokens of a text in each pass, as a share of its tokens",
        0.0,
        (0.0, 0.05, 0.1, 0.2),
        high=1.0,
        paper="random swap of Wei and Zou, 2019, arXiv 1901.11196",
    ),
    TrainingParameter(
        "mixup",
        "examples mixed with others of their batch: the alpha of Beta(alpha, alpha), from which the shares are drawn",
        0.0,
        (0.0, 0.1, 0.4, 1.0),
        high=100.0,
        paper="Zhang et al., 2017, arXiv 1710.09412; in embeddings: Guo et al., 2019, arXiv 1905.08941",
    ),
    TrainingParameter(
        "batch_factor",
        "examples in a step, times the budget's: as many examples in all, in fewer or more steps",
        1.0,
        (1.0, 0.25, 0.5, 2.0, 4.0),
        low=1e-3,
        high=1e3,
    ),
    TrainingParameter(
        "epochs_factor",
        "passes over the examples, times the budget's, over so many fewer of them",
        1.0,
        (1.0, 0.5, 2.0, 4.0),
        low=1e-2,
        high=1e2,
    ),
)

TRAINING_PARAMETERS: Mapping[str, TrainingParameter] = {one.name: one for one in _ALL}
"""By name, in the order in which they are listed."""
DEFAULTS: Mapping[str, TrainingValue] = {one.name: one.default for one in _ALL}
"""What a configuration leaves out."""


def known(name: str) -> TrainingParameter:
    """Return a parameter by its name.

    Raises:
        UnknownNameError: There is none of that name.
    """
    if name not in TRAINING_PARAMETERS:
        raise UnknownNameError("training hyper-parameter", str(name), tuple(TRAINING_PARAMETERS))
    return TRAINING_PARAMETERS[name]


def number(training: Mapping[str, TrainingValue], name: str) -> float:
    """Return a number that a configuration sets, or its default."""
    return float(training.get(name, DEFAULTS[name]))


def word(training: Mapping[str, TrainingValue], name: str) -> str:
    """Return a word that a configuration sets, or its default."""
    return str(training.get(name, DEFAULTS[name]))
