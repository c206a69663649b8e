import numpy as np
import pytest

from autopeft.configuration import PeftModule
from autopeft.errors import InvalidInputError
from autopeft.space.parameter import Real
from autopeft.space.space import LayerPolicy, MethodChoice, ModuleSlot, SearchSpace

SLOTS = (
    ModuleSlot("serial_adapter", (MethodChoice("serial_adapter", (0, 4, 16)),)),
    ModuleSlot(
        "lora",
        (MethodChoice("lora", (0, 8)),),
        targets=(("query", "value"), ("query",)),
        options=(("dora", (False, True)), ("alpha", (16,))),
    ),
    ModuleSlot("prompt", (MethodChoice("prompt", (0, 5), placed_in_layers=False),)),
)


def space(layers: LayerPolicy = "shared") -> SearchSpace:
    return SearchSpace("test", SLOTS, (Real("learning_rate", 1e-4, 1e-2, log=True),), 3, layers, (("weight_decay", 0.01),))


POINT = {
    "serial_adapter.size": 4, "lora.size": 8, "lora.targets": "query", "lora.dora": True, "prompt.size": 5,
    "layers.0": 1, "layers.1": 0, "layers.2": 1, "learning_rate": 1e-3,
}  # fmt: skip


def test_a_point_reads_as_a_configuration() -> None:
    configuration = space().configuration(POINT)
    assert set(configuration.modules) == {
        PeftModule("serial_adapter", 4, (0, 2)),
        PeftModule("lora", 8, (0, 2), ("query",), {"dora": True, "alpha": 16}),
        PeftModule("prompt", 5, None),
    }
    assert configuration.training == {"learning_rate": 1e-3, "weight_decay": 0.01}


def test_moot_settings_don_t_change_the_meaning() -> None:
    off = {**POINT, "lora.size": 0}
    assert space().configuration(off) == space().configuration({**off, "lora.dora": False, "lora.targets": "query+value"})


@pytest.mark.parametrize(("layers", "n_flags"), [("shared", 3), ("per_module", 6), ("all", 0)])
def test_layer_policies(layers: LayerPolicy, n_flags: int) -> None:
    found = space(layers)
    flags = [parameter.name for parameter in found.parameters if "layers." in parameter.name]
    assert len(flags) == n_flags
    assert found.size == 3 * 2 * 2 * 2 * 2 * 2**n_flags
    point = {**found.sample(np.random.default_rng(0)), "serial_adapter.size": 4}
    on = tuple(
        layer for layer in range(3) if layers == "all" or point[("" if layers == "shared" else "serial_adapter.") + f"layers.{layer}"]
    )
    serial = [module for module in found.configuration(point).modules if module.method == "serial_adapter"]
    assert [module.layers for module in serial] == ([on] if on else [])


@pytest.mark.parametrize("layers", ["shared", "per_module", "all"])
def test_encoding_round_trip_keeps_the_meaning(layers: LayerPolicy) -> None:
    found, rng = space(layers), np.random.default_rng(1)
    points = [found.sample(rng) for _ in range(30)]
    encoded = found.encode(points)
    assert encoded.shape == (30, found.width)
    for point, decoded in zip(points, found.decode(encoded), strict=True):
        assert found.configuration(decoded).modules == found.configuration(point).modules
        assert decoded["learning_rate"] == pytest.approx(point["learning_rate"])


def test_neighbours_differ_in_one_parameter() -> None:
    neighbours = space().neighbours(POINT, np.random.default_rng(0))
    assert all(sum(point[name] != POINT[name] for name in POINT) == 1 for point in neighbours)
    assert {name for point in neighbours for name in POINT if point[name] != POINT[name]} == set(POINT)


def test_incomplete_points_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"needs a value for layers\.1"):
        space().configuration({name: value for name, value in POINT.items() if name != "layers.1"})


def test_spaces_that_cannot_be_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="a name of its own"):
        SearchSpace("twice", (SLOTS[0], SLOTS[0]), (), 1)
    for choices in ((), (MethodChoice("lora", (0,)),)):
        with pytest.raises(InvalidInputError, match="a method, and a size other than 0"):
            SearchSpace("off", (ModuleSlot("lora", choices),), (), 1)


def test_a_slot_of_several_methods_has_one_level() -> None:
    lora, ia3, prompt = (
        MethodChoice("lora", (0, 2, 4, 8)),
        MethodChoice("ia3", (0, 1)),
        MethodChoice("prompt", (0, 5), placed_in_layers=False, takes_targets=False),
    )
    found = SearchSpace("one of", (ModuleSlot("weight", (lora, ia3, prompt), targets=(("query",),)),), (), 2, "all")
    assert [parameter.name for parameter in found.parameters] == ["weight.method", "weight.level"]
    assert found.size == 3 * 4

    def modules(method: str, level: int) -> tuple[PeftModule, ...]:
        return found.configuration({"weight.method": method, "weight.level": level}).modules

    assert modules("lora", 0) == modules("ia3", 0) == ()
    assert [modules("lora", level)[0].size for level in (1, 2, 3)] == [2, 4, 8]
    assert modules("ia3", 3) == modules("ia3", 1) == (PeftModule("ia3", 1, (0, 1), ("query",)),)
    assert modules("prompt", 2) == (PeftModule("prompt", 5, None),)
