"""Methods that change a training's course, against the formulas of their papers."""

import pytest
import torch

from autopeft.configuration import Configuration, PeftModule
from autopeft.methods.applied import AppliedModules
from autopeft.methods.compose import apply
from autopeft.training.hooks import TrainingHooks
from tests.methods.families import FAMILIES

LABELS = torch.tensor([0, 1, 0])


def applied_to_bert(*modules: PeftModule) -> AppliedModules:
    torch.manual_seed(0)
    return apply(FAMILIES["bert"].build(), Configuration(modules), FAMILIES["bert"].batch())


def values(applied: AppliedModules) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in applied.trainable_parameters().items()}


def moved_by_step(applied: AppliedModules, n_steps: int) -> list[set[str]]:
    """Train with AdamW and return which parameters each step moved."""
    hooks = TrainingHooks(applied)
    optimizer = torch.optim.AdamW(hooks.parameter_groups(0.1), lr=1e-3)
    hooks.start(n_steps, optimizer)
    moved = []
    for step in range(n_steps):
        before = values(applied)
        hooks.before_step(step)
        applied.model(**FAMILIES["bert"].batch(), labels=LABELS).loss.backward()
        hooks.after_backward(step)
        optimizer.step()
        hooks.after_step(step)
        optimizer.zero_grad()
        moved.append({name for name, tensor in values(applied).items() if not torch.equal(tensor, before[name])})
    return moved


def layers_of(names: set[str]) -> set[int]:
    return {int(name.split("layer.")[1].split(".")[0]) for name in names if "layer." in name}


def test_gradual_unfreezing_goes_from_the_top_down() -> None:
    applied = applied_to_bert(PeftModule("gradual_unfreezing", 1))
    moved = moved_by_step(applied, 12)
    assert [layers_of(names) for names in moved] == [{2}] * 2 + [{1, 2}] * 2 + [{0, 1, 2}] * 8
    assert [any("embeddings" in name for name in names) for names in moved] == [False] * 4 + [True] * 8
    assert all("classifier.weight" in names and "bert.pooler.dense.weight" in names for names in moved)
    hook = applied.hooks[0]
    assert [hook.may_be_kept(n_done) for n_done in (4, 5, 12)] == [False, True, True]


def test_layers_learn_the_slower_the_lower_they_are() -> None:
    applied = applied_to_bert(PeftModule("gradual_unfreezing", 1), PeftModule("lora", 2, (0, 1)))
    rates = {
        id(parameter): group["learning_rate_factor"]
        for group in TrainingHooks(applied).parameter_groups(0.0)
        for parameter in group["params"]
    }
    assert len(rates) == len(applied.trainable_parameters())
    for name, parameter in applied.trainable_parameters().items():
        if "lora_" in name or "pooler" in name or "classifier" in name:
            expected = 1.0
        elif "embeddings" in name:
            expected = 2.6**-3
        else:
            expected = 2.6 ** (int(name.split("layer.")[1][0]) - 2)
        assert rates[id(parameter)] == pytest.approx(expected), name


def test_half_of_each_kind_is_trained_and_drawn_anew() -> None:
    applied = applied_to_bert(PeftModule("hft", 1, options={"rounds": 2}))
    moved = moved_by_step(applied, 4)
    weights = [{name.removesuffix(".weight") for name in names if "layer." in name and name.endswith(".weight")} for names in moved]
    assert weights[0] == weights[1]
    assert weights[2] == weights[3]
    assert weights[0] != weights[2]
    for chosen in (weights[0], weights[2]):
        for layer in range(3):
            inside = {name.split(f"layer.{layer}.")[1] for name in chosen if f"layer.{layer}." in name}
            assert len({name for name in inside if name.startswith("attention") and "Norm" not in name}) == 2
            assert len({name for name in inside if "dense" in name and not name.startswith("attention")}) == 1
            assert len({name for name in inside if "Norm" in name}) == 1
    for names in moved:  # a bias goes with its weight, and what stands outside the layers is always trained
        assert {name.removesuffix(".bias") for name in names if name.endswith(".bias") and "key.bias" not in name} >= {
            name.removesuffix(".weight") for name in names if name.endswith(".weight") and "embeddings" not in name and "key" not in name
        }
        assert "bert.embeddings.word_embeddings.weight" in names
        assert "classifier.weight" in names
    assert set.intersection(*moved) < set.union(*moved)


def test_an_odd_number_is_halved_over_the_layers() -> None:
    from autopeft.methods.half import frozen_in_round

    units = {(block, "ffn"): tuple((f"{block}.{name}",) for name in ("gate", "up", "down")) for block in range(10)}
    assert {len(frozen_in_round(units, seed, 0)) for seed in range(20)} == {15}
    assert frozen_in_round(units, 3, 1) == frozen_in_round(units, 3, 1) != frozen_in_round(units, 3, 2)


def test_lora_plus_moves_b_faster() -> None:
    """Adam's first step is the learning rate itself, whatever the gradient."""
    applied = applied_to_bert(PeftModule("lora", 4, (0, 2), options={"b_rate": 16.0}))
    groups = TrainingHooks(applied).parameter_groups(0.0)
    optimizer = torch.optim.Adam([{**group, "lr": 1e-3 * group["learning_rate_factor"]} for group in groups], eps=0.0)
    before = values(applied)
    applied.model(**FAMILIES["bert"].batch(), labels=LABELS).loss.backward()
    optimizer.step()
    for name, tensor in values(applied).items():
        if "lora_B" in name:
            torch.testing.assert_close((tensor - before[name]).abs(), torch.full_like(tensor, 1.6e-2))
        if "classifier" in name:
            torch.testing.assert_close((tensor - before[name]).abs(), torch.full_like(tensor, 1e-3), rtol=1e-4, atol=0)
    assert applied_to_bert(PeftModule("lora", 4, (0, 2))).hooks == ()
