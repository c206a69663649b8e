"""The part of a configuration that other libraries know as LoRA: which linears, at which rank and scale."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from autopeft.configuration import Configuration, PeftModule, Scalar
from autopeft.errors import UnsupportedError
from autopeft.methods.counting import resolve
from autopeft.methods.topology import Topology

COMMON_OPTIONS = ("dropout", "dora", "rslora", "pissa")
"""Options that a description of LoRA holds once for all linears."""
OPTIONS_OF_TRAINING = ("b_rate",)
"""Options that make no difference any more once a LoRA is trained."""


@dataclass(frozen=True)
class LowRank:
    """A linear's update."""

    rank: int
    alpha: float
    """The update is scaled by alpha / rank, or with rsLoRA by alpha / sqrt(rank)."""


@dataclass(frozen=True)
class LowRanks:
    """The updates of all linears."""

    linears: Mapping[str, LowRank]
    """By the linear's full name in the model, sorted."""
    options: Mapping[str, Scalar]
    """The value of each of `COMMON_OPTIONS`."""
    transposed: bool
    """Whether a linear keeps its weight transposed (Conv1D)."""
    n_layers: int
    """Blocks of the model, adapted or not."""

    @property
    def common(self) -> LowRank:
        """The update that most linears have."""
        return Counter(self.linears.values()).most_common(1)[0][0]

    @property
    def special(self) -> dict[str, LowRank]:
        """The linears whose update is another one."""
        return {name: linear for name, linear in self.linears.items() if linear != self.common}


def split_off(configuration: Configuration, expressed: Collection[str] = COMMON_OPTIONS) -> tuple[Configuration, list[str]]:
    """Return the LoRA modules that one description can hold, and in words the rest of a trial's modules.

    Args:
        configuration: What the trial trained.
        expressed: Options of LoRA that the description has, besides alpha and those of its training.

    Raises:
        UnsupportedError: There is no such LoRA.
    """
    modules = configuration.modules
    known = (*expressed, *OPTIONS_OF_TRAINING, "alpha")
    wrong = {module: [name for name, value in module.options.items() if value is not False and name not in known]
             for module in modules if module.method == "lora"}  # fmt: skip
    sound = [module for module, names in wrong.items() if not names]
    if not sound:
        names = sorted({name for each in wrong.values() for name in each})
        why = f" (its option {', '.join(names)})" if names else ""
        raise UnsupportedError(f"the trial has no LoRA that could be expressed: {configuration.describe()}{why}")
    most = Counter(_common_options(module) for module in sound for _ in module.layers or ()).most_common(1)[0][0]
    kept = [module for module in sound if _common_options(module) == most]
    lost = []
    for module in modules:
        words = Configuration((module,)).describe()
        if module.method != "lora":
            lost.append(words)
        elif wrong[module]:
            lost.append(f"{words} (its option {', '.join(wrong[module])})")
        elif module not in kept:
            lost.append(f"{words} (its options differ from the other LoRA modules')")
    return Configuration(tuple(kept), configuration.training), lost


def low_ranks(configuration: Configuration, topology: Topology) -> LowRanks:
    """Return the update of every linear that a LoRA-only configuration adapts.

    Raises:
        UnsupportedError: A linear has two updates.
    """
    found: dict[str, LowRank] = {}
    transposed = False
    resolved = [module for _, module in resolve(configuration, topology)]
    for module in resolved:
        # Other libraries' own default for alpha is not ours, so alpha is always written.
        alpha = float(module.options.get("alpha", 2 * module.size))
        for linear in topology.linears(module.layers, module.targets):
            if linear.name in found:
                raise UnsupportedError("other libraries can't express two LoRA updates on one linear", value=linear.name)
            found[linear.name] = LowRank(module.size, alpha)
            transposed |= linear.transposed
    return LowRanks(
        dict(sorted(found.items())), {name: resolved[0].options[name] for name in COMMON_OPTIONS}, transposed, topology.n_layers
    )


def whole(alpha: float) -> float:
    """Return a number as an int where it is one: some libraries take no other."""
    return int(alpha) if alpha == int(alpha) else alpha


def _common_options(module: PeftModule) -> tuple[Scalar, ...]:
    return tuple(module.options.get(name, 0.0 if name == "dropout" else False) for name in COMMON_OPTIONS)
