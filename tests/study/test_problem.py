import pickle
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from optuna.samplers import RandomSampler

from autopeft.configuration import Configuration
from autopeft.errors import InvalidInputError
from autopeft.objectives import TRAINABLE_PARAMETERS, Constraint, Objective
from autopeft.samplers import BayesianSampler
from autopeft.samplers.problem import SIZE_DECADES
from autopeft.samplers.registry import SAMPLERS
from autopeft.space.layers import LayerRule
from autopeft.space.parameter import Ordinal, Real
from autopeft.space.slots import MethodChoice, ModuleSlot
from autopeft.space.space import SearchSpace
from autopeft.study.directory import RunDirectory
from autopeft.study.problem import MAX_LAYER_STEPS, SpaceProblem
from autopeft.study.study import Study

OBJECTIVES = (Objective("accuracy", "maximize"), TRAINABLE_PARAMETERS)
LEARNING_RATE = Real("learning_rate", 1e-4, 1e-2, log=True)
MIXOUT = Ordinal("mixout", (0.0, 0.5), first_is_off=True)
"""Means something to last_layers alone."""


def slot(method: str, *sizes: int, targets: tuple[tuple[str, ...], ...] = ()) -> ModuleSlot:
    return ModuleSlot(method, (MethodChoice(method, sizes),), targets)


def known(configuration: Configuration) -> dict[str, float]:
    return {
        "trainable_parameters": sum(
            10.0 * module.size * len(module.layers or ()) * (len(module.targets) or 1) for module in configuration.modules
        )
    }


def bounded(space: SearchSpace, upper: float) -> SpaceProblem:
    return SpaceProblem(space, OBJECTIVES, known, [Constraint(TRAINABLE_PARAMETERS, upper)])


DEEP = SearchSpace("deep", (slot("lora", 0, 1, 2, 4, 8, 16, 32), slot("serial_adapter", 0, 4, 8, 16)), (LEARNING_RATE,), 14)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_sampler_proposes_what_breaks_a_bound(tmp_path, sampler: str) -> None:
    """Of the 458,752 combinations 1,603 keep to this bound."""
    problem = bounded(DEEP, 40.0)
    study = Study.create(RunDirectory.create(tmp_path / "run"), problem, sampler, 0)
    proposed = [study.ask()[1] for _ in range(5)]
    assert all(0 < known(one)["trainable_parameters"] <= 40 for one in proposed)
    assert len(set(proposed)) == 5


@pytest.mark.parametrize("rule", ["mask", "span", "top", "every", "all"])
@pytest.mark.parametrize("sharing", ["shared", "per_module"])
@pytest.mark.parametrize(
    "slots",
    [
        (slot("lora", 0, 2, 4), slot("prefix", 0, 3)),
        (slot("lora", 2, 4, targets=(("query", "value"), ("query",))), slot("prefix", 3)),
    ],
    ids=["on or off", "always on"],
)
def test_the_smallest_possible_is_named_and_is_the_smallest(slots, sharing, rule: LayerRule) -> None:
    space = SearchSpace("small", slots, (), 4, sharing, rule)
    values = product(*(parameter.values for parameter in space.parameters))
    names = [parameter.name for parameter in space.parameters]
    configurations = [space.configuration(dict(zip(names, one, strict=True))) for one in values]
    smallest = min(known(one)["trainable_parameters"] for one in configurations if one.modules)
    problem = bounded(space, smallest)
    assert known(problem.configuration(problem.smallest))["trainable_parameters"] == smallest
    with pytest.raises(
        InvalidInputError, match=rf"small keeps its trainable parameters to .*: the smallest possible has {smallest:.0f} param"
    ):
        bounded(space, smallest - 1)


def test_layers_of_a_deep_model_dont_outnumber_all_other_steps() -> None:
    problem = SpaceProblem(replace(DEEP, n_layers=80), OBJECTIVES, known)
    params = {**problem.smallest, "lora.size.level": 3, "learning_rate": 1e-3, **{f"layers.{layer}": layer % 2 for layer in range(80)}}
    around = problem.neighbours(params, np.random.default_rng(0))
    same_layers = [one for one in around if all(one[name] == params[name] for name in params if name.startswith("layers."))]
    assert len(around) - len(same_layers) == MAX_LAYER_STEPS
    assert len(same_layers) == 3 + 1 + 4  # sizes up, down and off, of what is off up, and of the learning rate


def test_a_space_of_which_nothing_can_be_built_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="can take no configuration of the space deep"):
        SpaceProblem(DEEP, OBJECTIVES, lambda configuration: None)


@pytest.mark.parametrize("sampler", ["autopeft", "random"])
def test_learning_rates_that_read_the_same_are_one(tmp_path, monkeypatch: pytest.MonkeyPatch, sampler: str) -> None:
    problem = SpaceProblem(DEEP, OBJECTIVES, known)
    params = {**problem.smallest, "learning_rate": 1e-3}
    key = problem.key(params)
    assert problem.key({**params, "learning_rate": 1e-3 * (1 + 1e-9)}) == key
    assert problem.key({**params, "learning_rate": 1.003e-3}) == key
    assert problem.key({**params, "learning_rate": 1.01e-3}) != key
    monkeypatch.setattr(SpaceProblem, "neighbours", lambda self, params, rng: [{**params, "learning_rate": 5e-3}])
    jitter = iter(1e-3 * (1 + 1e-9 * n) for n in range(10))

    def same(self, study, trial, space):
        return {**params, "learning_rate": next(jitter)}

    owner = BayesianSampler if sampler == "autopeft" else RandomSampler
    monkeypatch.setattr(owner, "infer_relative_search_space", lambda self, study, trial: problem.distributions)
    monkeypatch.setattr(owner, "sample_relative", same)
    study = Study.create(RunDirectory.create(tmp_path / "run"), problem, sampler, 0)
    assert [study.ask()[1].training["learning_rate"] for _ in range(2)] == [1e-3, 5e-3]


def test_a_space_without_modules_is_about_the_head_alone(tmp_path) -> None:
    space = SearchSpace("head", (), (LEARNING_RATE,), 4)
    study = Study.create(RunDirectory.create(tmp_path / "run"), SpaceProblem(space, OBJECTIVES, known), "autopeft", 0)
    rates = [study.ask()[1].training["learning_rate"] for _ in range(3)]
    assert len(set(rates)) == 3


@pytest.mark.parametrize("sharing", ["shared", "per_module"])
@pytest.mark.parametrize("training", [(), (LEARNING_RATE,), (LEARNING_RATE, Ordinal("weight_decay", (0, 1, 5)), MIXOUT)], ids=len)
def test_what_is_remembered_of_modules_goes_with_every_learning_rate(sharing, training) -> None:
    """Two points have one identity if, and only if, they read as one configuration; coordinates are those of the point itself."""
    slots = (slot("lora", 0, 2, 4, targets=(("query", "value"), ("query",))), slot("last_layers", 0, 3))
    space = SearchSpace("small", slots, training, 2, sharing)
    problem = SpaceProblem(space, OBJECTIVES, known)
    rng = np.random.default_rng(0)
    points = [space.sample(rng) for _ in range(60)]
    points += [{**point, parameter.name: parameter.sample(rng)} for point in points for parameter in training]
    params = [problem.to_params(point) for point in points]
    assert problem.encode(params) == pytest.approx(space.encode([space.canonical(point) for point in points]))
    read = [space.configuration(point) for point in points]
    assert [problem.key(one) is not None for one in params] == [bool(one.modules) for one in read]
    pairs = {(problem.key(one), configuration.id) for one, configuration in zip(params, read, strict=True) if configuration.modules}
    assert len({name for name, _ in pairs}) == len({found for _, found in pairs}) == len(pairs) > 20


def test_the_reason_not_to_propose_a_point() -> None:
    point = DEEP.canonical({parameter.name: parameter.decode(parameter.width * [1.0]) for parameter in DEEP.parameters})
    assert bounded(DEEP, 1e6).objection(point) == ""
    assert bounded(DEEP, 1e6).objection({**point, "lora.size": 0, "serial_adapter.size": 0}) == "it has no module"
    assert bounded(DEEP, 100.0).objection(point) == "that is 6,720 parameters, more than allowed"


def test_trivial_scores_by_objective_and_how_high_a_rate_is_for_its_size() -> None:
    problem = SpaceProblem(DEEP, OBJECTIVES, known, trivial_scores={"accuracy": 0.6, "f1": 0.7})
    assert problem.trivial == {0: 0.6}
    assert [len(flags) for flags in problem.flag_columns] == [14]
    point = {**problem.smallest, "learning_rate": 1e-3}
    tenfold = {**point, "learning_rate": 1e-2}
    low, high = problem.features([point, tenfold])[:, -1]
    assert high - low == pytest.approx(0.5)  # one decade of two
    larger = {**point, "lora.size.level": 5}
    sizes = [known(problem.configuration(params))["trainable_parameters"] for params in (point, larger)]
    shift = problem.features([larger])[0] - problem.features([point])[0]
    decades = np.log10(sizes[1] / sizes[0])
    assert shift == pytest.approx([decades / SIZE_DECADES, decades / 3 / 2])
    spread = {**point, **{f"layers.{layer}": 1 for layer in range(14)}}
    assert problem.features([spread])[0, 0] == pytest.approx(problem.features([point])[0, 0])


def test_layers_that_a_module_has_nothing_to_do_in_make_no_other_point() -> None:
    """Layers 1 and 2 have nothing for a prefix."""

    def resolve(configuration: Configuration) -> Configuration:
        modules = (
            replace(module, layers=tuple(layer for layer in module.layers or () if module.method != "prefix" or layer not in (1, 2)))
            for module in configuration.modules
        )
        return Configuration(tuple(modules), configuration.training)

    space = SearchSpace("hybrid", (slot("lora", 0, 4), slot("prefix", 0, 3)), (LEARNING_RATE,), 4)
    problem = SpaceProblem(space, OBJECTIVES, known, resolve=resolve)

    def key(lora: int, prefix: int, *layers: int) -> object:
        point = {"lora.size": lora, "prefix.size": prefix, "learning_rate": 1e-3} | {f"layers.{i}": int(i in layers) for i in range(4)}
        return problem.key(problem.to_params(point))

    assert key(0, 3, 0) == key(0, 3, 0, 1) == key(0, 3, 0, 1, 2)
    assert key(0, 3, 0) != key(0, 3, 0, 3)
    assert key(0, 3, 1, 2) is None  # nothing would be trained
    assert len({key(4, 3, 0), key(4, 3, 0, 1), key(4, 0, 0)}) == 3


def test_a_problem_is_pickled_without_what_it_remembers() -> None:
    problem = bounded(DEEP, 40.0)
    copy = pickle.loads(pickle.dumps(problem))
    assert copy.smallest == problem.smallest
    assert copy.key(problem.smallest) == problem.key(problem.smallest)
