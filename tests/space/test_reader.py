import json
from pathlib import Path

import numpy as np
import pytest

from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.methods.registry import all_methods
from autopeft.space.definition import MethodTraits
from autopeft.space.reader import builtin_names, describe_builtins, parse_space, read_space, stored_space

TRAITS = {
    "lora": MethodTraits((1, 2, 4)),
    "ia3": MethodTraits((1,), has_size=False),
    "prompt": MethodTraits((5,), placed_in_layers=False, takes_targets=False),
    **{name: MethodTraits((1,), has_size=False, takes_targets=False) for name in ("bitfit", "norm_tuning")},
    **{name: MethodTraits((1, 8), takes_targets=False) for name in ("serial_adapter", "parallel_adapter", "prefix")},
}
METHODS = list(TRAITS)
GOOD = """\
modules:
  - method: lora
    size: [0, 4, 8]
    targets: [query, value]
training:
  learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
"""


def test_three_spaces_come_with_the_package() -> None:
    assert {"autopeft", "default", "deployable", "four_modules", "lora"} <= set(builtin_names())
    assert all(describe_builtins().values())


@pytest.mark.parametrize("name", [*builtin_names(), *builtin_names("baselines")])
def test_a_space_is_read_again_from_the_form_in_which_a_run_keeps_it(name: str) -> None:
    methods = [method.name for method in all_methods()]
    space = read_space(name, methods)
    kept = json.loads(json.dumps(space.model_dump(mode="json", exclude_defaults=True)))
    assert stored_space(kept, methods, name) == space


@pytest.mark.parametrize("name", ["autopeft", "default", "deployable", "four_modules", "lora"])
def test_builtin_spaces_bind_and_sample(name: str) -> None:
    space = read_space(name, METHODS).bind(name, n_layers=6, hidden_size=384, traits=TRAITS)
    rng = np.random.default_rng(0)
    assert len({space.configuration(space.sample(rng)).id for _ in range(50)}) > 40


def test_the_default_space_proposes_few_modules_and_all_layers_often() -> None:
    space = read_space("default", METHODS).bind("default", n_layers=6, hidden_size=384, traits=TRAITS)
    rng = np.random.default_rng(0)
    drawn = [space.configuration(space.draw(rng)) for _ in range(2000)]
    n_modules = np.bincount([len(one.modules) for one in drawn], minlength=7) / len(drawn)
    assert n_modules[0] == 0
    assert n_modules[1] == pytest.approx(32 / 63, abs=0.03)
    assert n_modules[2] == pytest.approx(16 / 63, abs=0.03)
    layers = [one.modules[0].layers for one in drawn]
    assert np.mean([len(some or ()) == 6 for some in layers]) == pytest.approx(1 / 3 + 1 / 18 + 1 / 18, abs=0.03)
    upper = [some == tuple(range(6 - len(some or ()), 6)) for some in layers]
    assert np.mean(upper) > 2 / 3 - 0.03
    assert {one.modules[0].targets for one in drawn if one.modules[0].method == "lora"} == {
        tuple(sorted(targets)) for targets in space.slots[0].targets
    }
    old = read_space("four_modules", METHODS).bind("four_modules", n_layers=6, hidden_size=384, traits=TRAITS)
    assert (old.is_uniform, space.is_uniform) == (True, False)


def test_autopeft_space_is_the_paper_s() -> None:
    # BERT-base: 768 halved 0 to 9 times, and 0; twelve layers in one mask.
    space = read_space("autopeft", METHODS).bind("autopeft", n_layers=12, hidden_size=768, traits=TRAITS)
    assert [slot.name for slot in space.slots] == ["serial_adapter", "parallel_adapter", "prefix"]
    assert space.slots[0].choices[0].sizes == (0, 1, 3, 6, 12, 24, 48, 96, 192, 384, 768)
    assert space.size == 11**3 * 2**12


def test_a_user_s_own_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    space = read_space(str(path), METHODS).bind("mine", n_layers=2, hidden_size=8, traits=TRAITS)
    assert [parameter.name for parameter in space.parameters] == ["lora.size", "layers.0", "layers.1", "learning_rate"]
    assert space.slots[0].targets == (("query", "value"),)


def test_choices_and_fixed_values() -> None:
    text = GOOD.replace("[query, value]", "[[query], [query, value]]\n    options: {dora: [false, true], alpha: 16}")
    unplaced = {"lora": MethodTraits(placed_in_layers=False)}
    space = parse_space(text + "  weight_decay: 0.1\n", METHODS).bind("x", n_layers=1, hidden_size=8, traits=unplaced)
    assert [parameter.name for parameter in space.parameters] == ["lora.size", "lora.targets", "lora.dora", "learning_rate"]
    assert space.fixed_training == (("weight_decay", 0.1),)


def test_recipes_are_ranges_lists_fixed_values_or_suggested() -> None:
    lines = (
        "schedule: [cosine, linear]", "optimizer: lion", "label_smoothing: suggested", "layer_rate_decay: [1, 0.8, 0.9]",
        "mixout: {low: 0.1, high: 0.5}", "l2_start: 1e-3", "head_rate: [3, 0.3, 1]",
    )  # fmt: skip
    definition = parse_space(GOOD + "".join(f"  {line}\n" for line in lines), METHODS)
    assert stored_space(json.loads(json.dumps(definition.model_dump(mode="json", exclude_defaults=True))), METHODS, "x") == definition
    space = definition.bind("x", n_layers=1, hidden_size=8, traits=TRAITS)
    assert space.fixed_training == (("optimizer", "lion"), ("l2_start", 1e-3))
    found = {one.name: (getattr(one, "values", None), getattr(one, "first_is_off", None)) for one in space.training[1:]}
    assert found == {
        "schedule": (("linear", "cosine"), None),
        "label_smoothing": ((0.0, 0.05, 0.1, 0.2), True),
        "layer_rate_decay": ((1.0, 0.9, 0.8), True),
        "mixout": (None, None),
        "head_rate": ((0.3, 1.0, 3.0), False),
    }
    point = space.point_near({})
    assert {name: point[name] for name in ("schedule", "label_smoothing", "layer_rate_decay", "head_rate")} == {
        "schedule": "linear", "label_smoothing": 0.0, "layer_rate_decay": 1.0, "head_rate": 1.0,
    }  # fmt: skip
    read = space.configuration({**point, "lora.size": 4, "schedule": "cosine", "mixout": 0.3}).training
    assert read == {"learning_rate": pytest.approx(1e-3), "optimizer": "lion", "l2_start": 1e-3, "schedule": "cosine"}  # mixout is moot


def test_half_of_the_proposals_of_a_sparse_space_have_no_recipe() -> None:
    methods = [method.name for method in all_methods()]
    traits = {name: TRAITS.get(name, TRAITS["lora"]) for name in methods}
    space = read_space("recipes", methods).bind("recipes", n_layers=4, hidden_size=32, traits=traits)
    rng = np.random.default_rng(0)
    defaults = {"learning_rate", "weight_decay", "warmup_fraction"}
    n_on = np.bincount([len(space.configuration(space.draw(rng)).training.keys() - defaults) for _ in range(1000)], minlength=3)
    assert n_on[0] / 1000 == pytest.approx(0.5 + 0.25 * 2 / 15, abs=0.05)  # weight decay and warm-up are two of the fifteen lists


def test_several_methods_in_one_place() -> None:
    text = GOOD.replace("method: lora", "name: weight\n    method: [lora, ia3]").replace("[0, 4, 8]", "suggested")
    slot = parse_space(text, METHODS).bind("x", n_layers=1, hidden_size=8, traits=TRAITS).slots[0]
    assert [(choice.method, choice.sizes) for choice in slot.choices] == [("lora", (0, 1, 2, 4)), ("ia3", (0, 1))]


@pytest.mark.parametrize(("size", "expected"), [("1", (1,)), ("[4, 8]", (1,)), ("[0, 4]", (0, 1)), ("{halvings_of_hidden: 2}", (0, 1))])
def test_a_method_without_a_size_is_off_only_where_0_is_listed(size: str, expected: tuple[int, ...]) -> None:
    text = GOOD.replace("method: lora", "method: ia3").replace("[0, 4, 8]", size)
    assert parse_space(text, METHODS).bind("x", n_layers=1, hidden_size=8, traits=TRAITS).slots[0].choices[0].sizes == expected


@pytest.mark.parametrize(
    ("layers", "sharing", "rule"),
    [
        ("shared", "shared", "mask"),
        ("per_module", "per_module", "mask"),
        ("all", "shared", "all"),
        ("{shared: span}", "shared", "span"),
        ("{shared: weighted}", "shared", "weighted"),
        ("{per_module: every}", "per_module", "every"),
    ],
)
def test_who_shares_layers_and_by_which_rule(layers: str, sharing: str, rule: str) -> None:
    space = parse_space(f"layers: {layers}\n" + GOOD, METHODS).bind("x", n_layers=4, hidden_size=8, traits=TRAITS)
    assert (space.sharing, space.rule) == (sharing, rule)


def test_a_module_s_own_rule_of_layers() -> None:
    text = GOOD.replace("method: lora", "method: lora\n    layers: top")
    space = parse_space(text, METHODS).bind("x", n_layers=4, hidden_size=8, traits=TRAITS)
    assert "lora.layers.top" in [parameter.name for parameter in space.parameters]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modules: [", "line 1: not valid YAML"),
        ("\t", "not valid YAML"),
        ("", "is empty"),
        ("- 1", "must be a mapping"),
        (GOOD.replace("lora", "lorra"), r"line 2: unknown PEFT method \(got 'lorra'\)\. Did you mean 'lora'\?"),
        (GOOD.replace("size", "sise"), r"line 3: unknown key \(got 'sise'\)\. Did you mean 'size'\?"),
        (GOOD.replace("training", "trainings"), r"line 5: unknown key \(got 'trainings'\)\. Did you mean 'training'\?"),
        (GOOD.replace("learning_rate", "learning_rat"), "learning_rate"),
        (GOOD.replace("low: 1.0e-4", "low: 1"), "line 6: training.learning_rate: low must be below high"),
        (GOOD.replace("low: 1.0e-4", "low: 0"), "line 6: training.learning_rate: low must be above 0 on a log scale"),
        (GOOD.replace("low:", "lo:"), r"line 6: unknown key \(got 'lo'\)\. Did you mean 'low'"),
        (GOOD.replace("[0, 4, 8]", "[0, 4, -8]"), r"line 3: .*greater than or equal to 0 \(got -8\)"),
        (GOOD.replace("[0, 4, 8]", "[0, 4, four]"), r"line 3: .*valid integer \(got 'four'\)"),
        (GOOD.replace("[0, 4, 8]", "[0]"), "line 3: .*a value other than 0"),
        (GOOD.replace("[0, 4, 8]", "[4, 4]"), "line 3: .*list a value twice"),
        (
            GOOD.replace("[0, 4, 8]", "{halvings_of_hidden: 2, values: [1]}"),
            "line 3: .*one of: a list of values, halvings",
        ),
        ("layers: some\n" + GOOD, r"line 1: layers: .*\(got 'some'\)"),
        ("layers: share\n" + GOOD, r"line 1: layers: .*Did you mean 'shared'"),
        ("layers:\n  shared: spam\n" + GOOD, r"line 2: layers.shared: .*'span'.*\(got 'spam'\)"),
        ("layers:\n  per_modul: span\n" + GOOD, r"line 2: unknown key \(got 'per_modul'\)\. Did you mean 'per_module'"),
        ("layers: {shared: span, per_module: top}\n" + GOOD, "line 1: layers: layers needs one of: shared, per_module"),
        (GOOD.replace("method: lora", "method: lora\n    layers: tops"), r"line 3: modules.0.layers: .*'top'.*\(got 'tops'\)"),
        ("prior: spars\n" + GOOD, r"line 1: prior: .*'sparse'.*\(got 'spars'\)"),
        (GOOD + "  schedul: cosine\n", r"line 7: unknown training hyper-parameter \(got 'schedul'\)\. Did you mean 'schedule'"),
        (GOOD + "  schedule: cosin\n", r"line 7: unknown schedule \(got 'cosin'\)\. Did you mean 'cosine'"),
        (GOOD + "  schedule: {low: 0, high: 1}\n", "schedule is a word and has no range.*Give a list of some of: linear, cosine"),
        (GOOD + "  mixout: [0, 1.5]\n", r"line 7: mixout must lie between 0 and 0.99 \(got 1.5\)"),
        (GOOD + "  reinit_layers: [0.5]\n", "line 7: reinit_layers must be a whole number"),
        (GOOD + "  mixout: [0.5, 0.5]\n", "line 7: mixout may not list a value twice"),
        (GOOD + "  mixout: {low: 0, high: 0.5, values: [1]}\n", "line 7: training.mixout: .*needs one of: values, suggested"),
        (GOOD.replace("{low: 1.0e-4, high: 1.0e-2, log: true}", "suggested"), "no list of values to suggest for learning_rate"),
        (GOOD + "modules: []\n", "line 7: the key 'modules' stands twice"),
        (GOOD.replace("training:", "  - method: lora\n    size: 3\ntraining:"), "'lora' occurs twice"),
        (GOOD.replace("lora", "[lora, lorra]").replace("size", "name: weight\n    size"), "line 2: unknown PEFT method"),
        (GOOD.replace("lora", "[lora, ia3]"), "line 2: .*several methods needs a name"),
        (GOOD.replace("lora", "[lora, lora]"), "line 2: .*list a method twice"),
        ("a: &x 1\nb: *x\n", "line 2: anchors and aliases"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("[" * 3000, "not valid YAML"),
    ],
    ids=lambda value: None,
)
def test_errors_name_the_line_and_the_rule(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_space(text, METHODS)


def test_missing_unreadable_and_unknown(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'default'"):
        read_space("defalt", METHODS)
    with pytest.raises(InvalidInputError, match="does not exist"):
        read_space(str(tmp_path / "none.yaml"), METHODS)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInputError, match="can't be read as text"):
        read_space(str(tmp_path / "binary.yaml"), METHODS)
    (tmp_path / "large.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(InvalidInputError, match="at most 1,000,000 bytes"):
        read_space(str(tmp_path / "large.yaml"), METHODS)


def test_the_space_all_knows_every_method_but_the_baselines() -> None:
    from autopeft.methods.registry import all_methods

    known = {method.name for method in all_methods()}
    listed = {method for module in read_space("all", known).modules for method in module.method}
    assert known - listed == {"full_fine_tuning", "last_layers", "gradual_unfreezing", "hft", "greentrainer"}
