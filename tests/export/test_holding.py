import json

import numpy as np
import pytest

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnsupportedError
from autopeft.export import merged_model, peft_adapter
from autopeft.export.holding import holding_targets, model_type
from autopeft.methods.registry import all_methods
from autopeft.space.definition import MethodTraits
from autopeft.space.reader import read_space


def lora(size, layers, targets=("query", "value"), **options):
    return PeftModule("lora", size, layers, targets, options)


@pytest.mark.parametrize(
    ("modules", "targets"),
    [
        ((lora(8, (0, 1)),), ("peft", "merged", "adapters", "script")),
        ((lora(8, (0,)), lora(4, (1,))), ("peft", "merged", "script")),
        ((lora(8, (0,)), lora(4, (0,), ("all",))), ("merged", "script")),
        ((lora(8, (0,), dora=True),), ("peft", "merged", "script")),
        ((lora(8, (0,), gated=True),), ("script",)),
        ((lora(8, (0,)), PeftModule("bitfit", 1, (0,))), ("merged", "script")),
        ((PeftModule("serial_adapter", 4, (0,)), PeftModule("prefix", 2, (0,))), ("adapters", "script")),
        ((), ("merged", "adapters", "script")),
        ((PeftModule("of_a_plugin", 1, (0,)),), ("script",)),
    ],
    ids=["lora", "two ranks", "two on one linear", "dora", "gated", "lora and biases", "adapter and prefix", "head", "of a plugin"],
)
def test_targets_follow_from_the_configuration(modules, targets):
    assert holding_targets(Configuration(modules), "bert") == targets


def test_the_planners_agree(untrained):
    modules = [PeftModule(method.name, method.sizes[0], (0,) if method.placed_in_layers else None) for method in all_methods()]
    for chosen in [(one,) for one in modules] + [(lora(2, (1,)), one) for one in modules]:
        trial = untrained(*chosen)
        held = holding_targets(trial.configuration)
        assert ("merged" in held) == holds(merged_model.plan, trial)
        assert ("peft" in held) == holds(peft_adapter.plan, trial)


def holds(plan, trial):
    try:
        return not plan(trial).lost
    except UnsupportedError:
        return False


def test_the_deployable_space_holds_only_what_merges():
    traits = {name: MethodTraits(has_size=False, takes_targets=False) for name in ("bitfit", "norm_tuning")} | {"lora": MethodTraits()}
    space = read_space("deployable", traits).bind("deployable", n_layers=6, hidden_size=384, traits=traits)
    rng = np.random.default_rng(0)
    held = [holding_targets(space.configuration(space.sample(rng))) for _ in range(100)]
    assert all("merged" in targets for targets in held)
    assert any("peft" in targets for targets in held)


def test_the_family_is_read_from_the_models_own_file(tmp_path):
    assert model_type({"model": {"path": str(tmp_path)}}) == ""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert model_type({"model": {"path": str(tmp_path)}}) == "bert"
