import pytest

from autopeft.errors import UnknownNameError
from autopeft.methods.compose import apply
from autopeft.methods.counting import count_parameters
from autopeft.methods.presets import PRESETS, get_preset

from .families import subject


@pytest.mark.parametrize("family", ["bert", "llama", "t5"])
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_stands_in_every_layer(name: str, family: str) -> None:
    of_family = subject(family)
    configuration = get_preset(name).build(of_family.topology)
    assert configuration.modules
    assert all(len(module.layers or ()) == of_family.topology.n_layers for module in configuration.modules)
    applied = apply(of_family.model, configuration, topology=of_family.topology)
    assert applied.parameter_count == count_parameters(configuration, of_family.topology)
    applied.eject()


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown preset.*'mam'"):
        get_preset("mamm")
