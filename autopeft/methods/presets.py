"""Combinations of methods known under a name of their own, as configurations for a model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from autopeft.configuration import Configuration, PeftModule, Scalar
from autopeft.errors import UnknownNameError
from autopeft.methods.topology import Topology


@dataclass(frozen=True)
class Preset:
    """A named combination."""

    name: str
    summary: str
    paper: str
    """Author, year and arXiv id."""
    build: Callable[[Topology], Configuration]


def get_preset(name: str) -> Preset:
    """Return the preset of this name.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in PRESETS:
        raise UnknownNameError("preset", name, PRESETS)
    return PRESETS[name]


def _everywhere(topology: Topology, *modules: tuple[str, int, Mapping[str, Scalar]]) -> Configuration:
    """Return a configuration with each method, of its size and options, in every layer."""
    layers = tuple(block.index for block in topology.blocks)
    return Configuration(tuple(PeftModule(method, size, layers, options=options) for method, size, options in modules))


def _lora(topology: Topology) -> Configuration:
    return _everywhere(topology, ("lora", 8, {}))


def _mam(topology: Topology) -> Configuration:
    return _everywhere(topology, ("prefix", 30, {}), ("parallel_adapter", 512, {"scale": 4.0}))


def _lora_prefix(topology: Topology) -> Configuration:
    return _everywhere(topology, ("lora", 8, {}), ("prefix", 10, {}))


def _unipelt(topology: Topology) -> Configuration:
    gated = {"gated": True}
    return _everywhere(topology, ("serial_adapter", 48, gated), ("prefix", 10, gated), ("lora", 8, gated))


def _autopeft(topology: Topology) -> Configuration:
    hidden_size = topology.hidden_size
    reduced, short = max(1, hidden_size // 16), max(1, hidden_size // 128)
    return _everywhere(topology, ("serial_adapter", reduced, {}), ("parallel_adapter", reduced, {}), ("prefix", short, {}))


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("lora", "LoRA of rank 8 on its default targets in every layer", "Hu et al., 2021, arXiv 2106.09685", _lora),
        Preset("mam", "a short prefix and a large parallel adapter in every layer", "He et al., 2021, arXiv 2110.04366", _mam),
        Preset("lora_prefix", "LoRA and a prefix in every layer", "Hu et al., 2021, arXiv 2106.09685, appendix E", _lora_prefix),
        Preset("unipelt", "gated serial adapter, prefix and LoRA in every layer", "Mao et al., 2022, arXiv 2110.07577", _unipelt),
        Preset(
            "autopeft",
            "serial adapter, parallel adapter and prefix in every layer: the full size of AutoPEFT's space is the hidden size",
            "Zhou et al., 2023, arXiv 2301.12132",
            _autopeft,
        ),
    )
}
