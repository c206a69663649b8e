import runpy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import InvalidInputError
from autopeft.methods import adalora, registry
from autopeft.methods.applied import AppliedModules
from autopeft.methods.compose import apply
from autopeft.methods.hook import ParameterGroup, TrainingHook
from autopeft.training.hooks import TrainingHooks
from autopeft.training.measurement import Assignment, Outcome
from autopeft.training.runner import TrialRunner
from tests.methods.families import FAMILIES

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_hook.py"


@pytest.fixture
def applied() -> AppliedModules:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    return apply(model, Configuration((PeftModule("adalora", 6, (0, 1, 2), ("query", "value")),)), batch)


def train(applied: AppliedModules, n_steps: int) -> None:
    """Train the modules for some steps with plain AdamW; the targets' gradients are what matters here."""
    hooks = TrainingHooks(applied)
    optimizer = torch.optim.AdamW(hooks.parameter_groups(0.0), lr=1e-2)
    hooks.start(n_steps, optimizer)
    batch = FAMILIES["bert"].batch()
    for step in range(n_steps):
        hooks.before_step(step)
        loss = applied.model(**batch, labels=torch.tensor([0, 1, 0])).loss
        (loss + hooks.extra_loss()).backward()
        hooks.after_backward(step)
        optimizer.step()
        hooks.after_step(step)
        optimizer.zero_grad()


def singular_values(applied: AppliedModules) -> dict[str, torch.Tensor]:
    return {name: parameter for name, parameter in applied.module_parameters.items() if "lora_E" in name}


def test_ranks_fall_to_two_thirds_and_stay_there(applied: AppliedModules) -> None:
    torch.manual_seed(0)
    train(applied, 20)
    ranks = [int((values != 0).sum()) for values in singular_values(applied).values()]
    assert sum(ranks) == 4 * len(ranks)  # two thirds of 6, over six targets
    assert len(set(ranks)) > 1, "all targets have the same rank: nothing was moved"


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_short_trainings_have_room_for_what_they_can(applied: AppliedModules, n_steps: int) -> None:
    train(applied, n_steps)
    ranks = [int((values != 0).sum()) for values in singular_values(applied).values()]
    assert sum(ranks) <= (6 if n_steps == 1 else 4) * len(ranks)


def test_ranks_are_those_of_the_paper_s_importance(applied: AppliedModules, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equations 7 to 10, from parameters and gradients as the optimiser left them."""
    smoothed: dict[str, torch.Tensor] = {}
    uncertain: dict[str, torch.Tensor] = {}
    n_steps, last = 20, 10
    patterns: dict[int, dict[str, list[bool]]] = {}
    own = adalora.RankAllocation.after_step

    def watched(hook: adalora.RankAllocation, step: int) -> None:
        if step + 1 < last:
            for name, parameter in applied.module_parameters.items():
                importance = (parameter * parameter.grad).abs().detach()
                smoothed[name] = 0.85 * smoothed.get(name, torch.zeros_like(importance)) + 0.15 * importance
                difference = (importance - smoothed[name]).abs()
                uncertain[name] = 0.85 * uncertain.get(name, torch.zeros_like(importance)) + 0.15 * difference
        own(hook, step)
        patterns[step + 1] = {name: (values != 0).flatten().tolist() for name, values in singular_values(applied).items()}

    monkeypatch.setattr(adalora.RankAllocation, "after_step", watched)
    torch.manual_seed(0)
    train(applied, n_steps)
    scores = {name: smoothed[name] * uncertain[name] for name in smoothed}
    triplets = {
        name: scores[name][:, 0] + scores[name.replace("lora_E", "lora_A")].mean(1) + scores[name.replace("lora_E", "lora_B")].mean(0)
        for name in singular_values(applied)
    }
    threshold = torch.cat(list(triplets.values())).sort(descending=True).values[4 * len(triplets) - 1]
    kept = {name: (values >= threshold).tolist() for name, values in triplets.items()}
    assert patterns[last] == kept
    assert patterns[n_steps] == kept
    assert sum(map(sum, patterns[5].values())) == int(12 * (1 - (5 - 2) / (10 - 2)) ** 3 + 24)


def test_the_penalty_is_the_mean_distance_from_orthogonality(applied: AppliedModules) -> None:
    expected = []
    for name, parameter in applied.module_parameters.items():
        if "lora_A" in name:
            expected.append((parameter @ parameter.T - torch.eye(6)).pow(2).sum().sqrt())
        if "lora_B" in name:
            expected.append((parameter.T @ parameter - torch.eye(6)).pow(2).sum().sqrt())
    torch.testing.assert_close(TrainingHooks(applied).extra_loss(), 0.5 * sum(expected) / len(expected))


def test_gradients_stop_at_the_lowest_trained_layer(applied: AppliedModules) -> None:
    class OnlyTheLast(TrainingHook):
        def lowest_trained_layer(self, step: int) -> int:
            return 2 if step == 0 else 0

    applied.hooks = (OnlyTheLast(),)
    hooks = TrainingHooks(applied)
    for step, reached in ((0, {"layer.2", "classifier"}), (1, {"layer.0", "layer.1", "layer.2", "classifier"})):
        hooks.before_step(step)
        applied.model(**FAMILIES["bert"].batch(), labels=torch.tensor([0, 1, 0])).loss.backward()
        with_gradient = [name for name, parameter in applied.trainable_parameters().items() if parameter.grad is not None]
        assert {part for part in ("layer.0", "layer.1", "layer.2", "classifier") if any(part in name for name in with_gradient)} == reached
        applied.model.zero_grad()


def test_a_parameter_has_one_group(applied: AppliedModules) -> None:
    class Grabbing(TrainingHook):
        def parameter_groups(self, trainable: Mapping[str, nn.Parameter]) -> Iterable[ParameterGroup]:
            yield ParameterGroup([trainable["classifier.weight"]], 0.1, 0.5)

    applied.hooks = (Grabbing(),)
    rest, own = TrainingHooks(applied).parameter_groups(0.01)
    assert len(rest["params"]) == len(applied.trainable_parameters()) - 1
    assert (rest["weight_decay"], rest["learning_rate_factor"]) == (0.01, 1.0)
    assert (own["weight_decay"], own["learning_rate_factor"]) == (0.5, 0.1)
    applied.hooks = (Grabbing(), Grabbing())
    with pytest.raises(InvalidInputError, match=r"may be in one group.*classifier\.weight"):
        TrainingHooks(applied).parameter_groups(0.01)


def test_a_method_with_a_hook_is_one_file_and_may_be_paused(
    runner: TrialRunner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out.splitlines()
    assert [printed[0], printed[-1]] == ["step 0: layers [3]", "step 7: layers [0, 1, 2, 3]"]
    configuration = Configuration((PeftModule("top_down_factor", 1, (0, 1, 2)),), {"learning_rate": 1e-3})
    budget = Budget(epochs=2, batch_size=8, max_length=32)
    assignment = Assignment(0, configuration, budget, 0, (0.2, 0.5, 1.0))
    whole = runner.run(assignment)
    assert whole.error == ""
    outcome: Outcome | None = None
    for point in assignment.measure_at:
        outcome = runner.run(replace(assignment, measure_at=(point,), checkpoint=None if outcome is None else outcome.checkpoint))
    assert outcome is not None
    assert outcome.adapter["adapter.safetensors"] == whole.adapter["adapter.safetensors"]
