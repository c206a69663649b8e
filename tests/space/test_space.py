from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from autopeft.configuration import PeftModule, Scalar
from autopeft.errors import InvalidInputError
from autopeft.space.layers import LayerRule, layer_set
from autopeft.space.parameter import Real
from autopeft.space.slots import MethodChoice, ModuleSlot
from autopeft.space.space import LayerSharing, SearchSpace

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


CHOICES = (
    MethodChoice("lora", (0, 2, 4, 8)),
    MethodChoice("ia3", (0, 1)),
    MethodChoice("prompt", (0, 5), placed_in_layers=False, takes_targets=False),
)
WAYS: list[tuple[LayerSharing, LayerRule]] = [
    (sharing, rule) for sharing in ("shared", "per_module") for rule in ("mask", "weighted", "span", "top", "every", "all")
]
every_way = pytest.mark.parametrize(("sharing", "rule"), WAYS)


def space(sharing: LayerSharing = "shared", rule: LayerRule = "mask", n_layers: int = 3) -> SearchSpace:
    return SearchSpace("test", SLOTS, (Real("learning_rate", 1e-4, 1e-2, log=True),), n_layers, sharing, rule, (("weight_decay", 0.01),))


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


@pytest.mark.parametrize(("sharing", "n_flags"), [("shared", 3), ("per_module", 6)])
def test_a_free_mask_has_a_flag_for_each_layer(sharing: LayerSharing, n_flags: int) -> None:
    found = space(sharing)
    flags = [parameter.name for parameter in found.parameters if "layers." in parameter.name]
    assert len(flags) == n_flags
    assert found.size == 3 * 2 * 2 * 2 * 2 * 2**n_flags
    point = {**found.sample(np.random.default_rng(0)), "serial_adapter.size": 4}
    on = tuple(layer for layer in range(3) if point[("" if sharing == "shared" else "serial_adapter.") + f"layers.{layer}"])
    serial = [module for module in found.configuration(point).modules if module.method == "serial_adapter"]
    assert [module.layers for module in serial] == ([on] if on else [])


@pytest.mark.parametrize(
    ("rule", "values", "layers"),
    [
        ("span", {"layers.first": 1, "layers.length": 3}, (1, 2, 3)),
        ("span", {"layers.first": 4, "layers.length": 6}, (4, 5)),
        ("top", {"layers.top": 2}, (4, 5)),
        ("every", {"layers.stride": 2, "layers.offset": 1}, (1, 3, 5)),
        ("every", {"layers.stride": 1, "layers.offset": 2}, (0, 1, 2, 3, 4, 5)),
        ("all", {}, (0, 1, 2, 3, 4, 5)),
    ],
)
def test_rules_of_layers(rule: LayerRule, values: dict[str, int], layers: tuple[int, ...]) -> None:
    found = space(rule=rule, n_layers=6).configuration({**POINT, **values})
    assert {module.layers for module in found.modules if module.method != "prompt"} == {layers}


@pytest.mark.parametrize("n_layers", [1, 2, 5, 6])
@pytest.mark.parametrize("rule", ["mask", "weighted", "span", "top", "every", "all"])
def test_the_size_counts_different_sets_of_layers(rule: LayerRule, n_layers: int) -> None:
    found = layer_set(rule, "", n_layers)
    names = [parameter.name for parameter in found.parameters]
    points = [dict(zip(names, values, strict=True)) for values in product(*(parameter.values for parameter in found.parameters))]
    assert len({found.layers(point) for point in points}) == found.size
    assert all(found.layers(found.canonical(point)) == found.layers(point) for point in points)
    assert len({tuple(found.canonical(point).values()) for point in points}) == found.size


@every_way
def test_draws_are_points_of_the_space(sharing: LayerSharing, rule: LayerRule) -> None:
    rng = np.random.default_rng(0)
    for prior in ("even", "sparse"):
        found = replace(space(sharing, rule, n_layers=5), prior=prior)
        drawn = [found.draw(rng) for _ in range(100)]
        assert all(list(point) == [parameter.name for parameter in found.parameters] for point in drawn)
        configurations = [found.configuration(point) for point in drawn]  # which checks every value
        n_on = [len(one.modules) for one in configurations]
        assert max(n_on) == 3
        if prior == "sparse":
            assert min(n_on) == 1
            assert n_on.count(1) > 40


def test_what_is_always_on_is_in_every_draw() -> None:
    slots = (ModuleSlot("lora", (MethodChoice("lora", (2, 4)),)), SLOTS[0])
    found = SearchSpace("test", slots, (), 3, prior="sparse")
    rng = np.random.default_rng(0)
    assert all(any(module.method == "lora" for module in found.configuration(found.draw(rng)).modules) for _ in range(50))


def test_all_layers_and_the_upper_ones_are_one_step_from_anywhere_in_a_weighted_mask() -> None:
    found = layer_set("weighted", "", 6)
    point = found.nearest((0, 2, 3))
    around = [found.layers({**point, **one}) for one in found.moves(point, np.random.default_rng(0))]
    assert around[-2:] == [(0, 1, 2, 3, 4, 5), (3, 4, 5)]


def test_a_module_may_have_a_rule_of_its_own() -> None:
    slots = (replace(SLOTS[0], layers="span"), SLOTS[1])
    found = SearchSpace("test", slots, (), 4)
    assert [parameter.name for parameter in found.parameters if "layers" in parameter.name] == [
        "serial_adapter.layers.first", "serial_adapter.layers.length", "layers.0", "layers.1", "layers.2", "layers.3",
    ]  # fmt: skip
    assert found.size == 3 * 2 * 2 * 2 * (4 * 5 / 2) * 2**4


@every_way
def test_encoding_round_trip_keeps_the_meaning(sharing: LayerSharing, rule: LayerRule) -> None:
    found, rng = space(sharing, rule), np.random.default_rng(1)
    points = [found.sample(rng) for _ in range(30)]
    encoded = found.encode(points)
    assert encoded.shape == (30, found.width)
    for point, decoded in zip(points, found.decode(encoded), strict=True):
        assert found.configuration(decoded).modules == found.configuration(point).modules
        assert decoded["learning_rate"] == pytest.approx(point["learning_rate"])


@every_way
def test_one_canonical_point_for_each_configuration(sharing: LayerSharing, rule: LayerRule) -> None:
    slots = (SLOTS[0], ModuleSlot("weight", CHOICES, targets=(("query",), ("value",)), options=(("alpha", (8, 16)),)))
    found = SearchSpace("test", slots, (), 2, sharing, rule)
    rng = np.random.default_rng(2)
    by_meaning: dict[str, dict[str, Scalar]] = {}
    for _ in range(600):
        point = found.sample(rng)
        canonical = found.canonical(point)
        assert found.configuration(canonical) == found.configuration(point)
        assert by_meaning.setdefault(found.configuration(point).id, canonical) == canonical
    assert len({tuple(point.values()) for point in by_meaning.values()}) == len(by_meaning)


@every_way
def test_neighbours_are_other_points_of_the_space(sharing: LayerSharing, rule: LayerRule) -> None:
    found, rng = space(sharing, rule, n_layers=80), np.random.default_rng(3)
    changed: set[str] = set()
    for _ in range(5):
        point = found.sample(rng)
        neighbours = found.neighbours(point, rng)
        found.encode(neighbours)  # refuses what is outside
        for neighbour in neighbours:
            names = {name for name in point if neighbour[name] != point[name]}
            in_layers = all("layers." in name for name in names)  # all layers, or the upper ones, may differ in any number of them
            assert len(names) == 1 or (in_layers and (rule == "weighted" or (rule == "mask" and len(names) == 2)))
            changed |= names
    assert changed == set(point)


@pytest.mark.parametrize("n_layers", [12, 80])
def test_of_many_steps_in_layers_some_are_taken(n_layers: int) -> None:
    found = space(n_layers=n_layers)
    flags = [name for name in found.sample(np.random.default_rng(0)) if name.startswith("layers.")]
    for seed in range(5):
        point = found.sample(np.random.default_rng(seed))
        every, some = (found.neighbours(point, np.random.default_rng(seed), most) for most in (None, 24))
        kept_layers, kept_some = ([one for one in group if all(one[name] == point[name] for name in flags)] for group in (every, some))
        assert kept_some == kept_layers  # the other steps are all there
        assert len(some) - len(kept_some) == min(24, len(every) - len(kept_layers))
        assert (len(some) == len(every)) == (n_layers == 12)


@pytest.mark.parametrize("sharing", ["shared", "per_module"])
def test_flag_columns_are_the_layers_of_each_mask(sharing: LayerSharing) -> None:
    searched = replace(space(), sharing=sharing)
    point = {parameter.name: parameter.decode(parameter.width * [0.0]) for parameter in searched.parameters}
    flags = [name for name in point if name.rpartition(".")[2].isdigit()]
    columns = [column for mask in searched.flag_columns() for column in mask]
    assert len(columns) == len(set(columns)) == len(flags)
    for name, column in zip(flags, columns, strict=True):
        assert searched.encode([{**point, name: 1}])[0, column] == 1
        assert searched.encode([point])[0, column] == 0
    assert replace(searched, rule="span").flag_columns() == []


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
    found = SearchSpace("one of", (ModuleSlot("weight", CHOICES, targets=(("query",),)),), (), 2, rule="all")
    assert [parameter.name for parameter in found.parameters] == ["weight.method", "weight.level"]
    assert found.size == 3 * 4

    def modules(method: str, level: int) -> tuple[PeftModule, ...]:
        return found.configuration({"weight.method": method, "weight.level": level}).modules

    assert modules("lora", 0) == modules("ia3", 0) == ()
    assert [modules("lora", level)[0].size for level in (1, 2, 3)] == [2, 4, 8]
    assert modules("ia3", 3) == modules("ia3", 1) == (PeftModule("ia3", 1, (0, 1), ("query",)),)
    assert modules("prompt", 2) == (PeftModule("prompt", 5, None),)
