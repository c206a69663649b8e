"""Which layers the trials of a front stand in."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from autopeft.report.leaderboard import Leaderboard
from autopeft.study.record import TrialRecord


@dataclass(frozen=True)
class Occupied:
    """One method in one layer of one trial."""

    trial: int
    layer: int
    method: str
    sizes: tuple[int, ...]
    """Of each module of the method there."""


@dataclass(frozen=True)
class LayerUse:
    """How often a layer holds any module."""

    layer: int
    n_front: int
    n_others: int


@dataclass(frozen=True)
class InsertionLayers:
    """Layers x trials: where the front's modules stand."""

    n_layers: int
    """Layers of the backbone; 0 if no trial places a module in one."""
    trials: tuple[int, ...]
    """The front's, in its order."""
    methods: tuple[str, ...]
    """Those of the front that are placed in layers."""
    occupied: tuple[Occupied, ...]
    use: tuple[LayerUse, ...]
    """One entry per layer, from the input to the head."""
    n_others: int
    """Trials with any result that are not on the front."""

    @classmethod
    def of(cls, leaderboard: Leaderboard, n_layers: int | None) -> "InsertionLayers":
        """Read them off the configurations; without `n_layers` of the backbone, the last layer in use is taken for its last."""
        front = leaderboard.front
        others = (*leaderboard.off_front, *leaderboard.infeasible, *leaderboard.stopped, *leaderboard.paused)
        used = [layer for record in (*front, *others) for layer in _layers(record)]
        n = max(1 + max(used), n_layers or 0) if used else 0
        occupied = tuple(cell for record in front for cell in _cells(record))
        use = tuple(LayerUse(layer, _count(front, layer), _count(others, layer)) for layer in range(n))
        methods = tuple(sorted({cell.method for cell in occupied}))
        return cls(n, tuple(record.number for record in front), methods, occupied, use, len(others))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def _layers(record: TrialRecord) -> set[int]:
    return {layer for module in record.configuration.modules for layer in module.layers or ()}


def _cells(record: TrialRecord) -> list[Occupied]:
    modules = record.configuration.modules
    cells = sorted({(layer, module.method) for module in modules for layer in module.layers or ()})
    return [
        Occupied(
            record.number,
            layer,
            method,
            tuple(module.size for module in modules if module.method == method and layer in (module.layers or ())),
        )
        for layer, method in cells
    ]


def _count(records: Sequence[TrialRecord], layer: int) -> int:
    return sum(layer in _layers(record) for record in records)
