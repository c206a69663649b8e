import pytest

from autopeft.errors import UnsupportedError
from autopeft.methods.compose import apply
from autopeft.methods.counting import count_parameters
from autopeft.methods.topology import Topology
from autopeft.portfolio.entries import entries, layers_between
from tests.methods.families import subject


def test_there_are_8_to_12_of_different_names() -> None:
    assert 8 <= len(entries()) <= 12
    assert len({entry.name for entry in entries()}) == len(entries())


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
@pytest.mark.parametrize("family", ["bert", "llama", "t5"])
def test_every_entry_can_be_put_onto_a_model_or_says_why_not(entry, family: str) -> None:
    of_family = subject(family)
    try:
        configuration = entry.build(of_family.topology)
    except UnsupportedError:
        assert (entry.name, family) in {("bitfit", "llama"), ("bitfit", "t5")}  # they have no biases
        return
    n_parameters = count_parameters(configuration, of_family.topology)
    applied = apply(of_family.model, configuration, topology=of_family.topology)
    assert applied.parameter_count == n_parameters
    applied.eject()
    assert 0 < configuration.training["learning_rate"] == entry.rate(n_parameters) <= 0.01


@pytest.mark.parametrize(
    ("low", "high", "n_layers", "layers"),
    [
        (0, 1, 3, (0, 1, 2)),
        (0.5, 1, 6, (3, 4, 5)),
        (0.5, 1, 24, tuple(range(12, 24))),
        (0.5, 0.667, 6, (3,)),
        (0.5, 0.667, 12, (6, 7)),
        (0.5, 0.667, 2, (1,)),  # none has its middle there: the nearest
        (0.333, 0.667, 6, (2, 3)),
        (0.333, 0.667, 1, (0,)),
        (0, 1, 0, ()),
    ],
)
def test_layers_keep_their_relative_depth(low: float, high: float, n_layers: int, layers: tuple[int, ...]) -> None:
    assert layers_between(low, high, n_layers) == layers


def test_sizes_keep_their_relative_width_and_rates_fall_with_the_root_of_the_parameters() -> None:
    by_name = {entry.name: entry for entry in entries()}
    narrow = subject("bert").topology
    wide = _widened(narrow, 16)
    adapter = by_name["parallel_adapter"]
    sizes = [adapter.build(topology).modules[0].size for topology in (narrow, wide)]
    assert sizes == [max(1, round(topology.hidden_size / 24)) for topology in (narrow, wide)]
    assert sizes[1] > sizes[0]
    lora = by_name["lora"]
    assert lora.rate(80_000) == pytest.approx(0.002)
    assert lora.rate(320_000) == pytest.approx(0.001)
    assert lora.rate(10) == 0.01


def _widened(topology: Topology, times: int) -> Topology:
    text = topology.to_json()
    return Topology.from_json(text.replace(f'"hidden_size":{topology.hidden_size}', f'"hidden_size":{topology.hidden_size * times}'))
