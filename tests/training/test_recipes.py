"""Each recipe against a plain implementation of its equation, and all of them through a runner: paused, ejected, repeated."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule, written
from autopeft.errors import UnavailableError, UnsupportedError
from autopeft.loops.planning import usable_recipes
from autopeft.methods.applied import AppliedModules
from autopeft.methods.compose import apply
from autopeft.space.parameter import Categorical, Ordinal
from autopeft.space.slots import MethodChoice, ModuleSlot
from autopeft.space.space import SearchSpace
from autopeft.tasks import Batch, Encoded, Task, TaskData, family_of
from autopeft.training.batches import batch_sizes
from autopeft.training.hooks import FACTOR, TrainingHooks
from autopeft.training.measurement import Assignment, Outcome
from autopeft.training.recipes import Recipes, optimizers
from autopeft.training.recipes.budgets import trained_budget
from autopeft.training.recipes.inputs import AdversarialNoise, EmbeddingNoise
from autopeft.training.recipes.optimizers import make_optimizer
from autopeft.training.recipes.recipes import RECIPES
from autopeft.training.runner import TrialRunner
from autopeft.training.tree import pack_tree, unpack_tree
from autopeft.training_parameters import DEFAULTS, TRAINING_PARAMETERS
from tests.methods.families import FAMILIES
from tests.training.test_runner import BUDGET, state

LORA, FULL = PeftModule("lora", 4, (0, 2)), PeftModule("full_fine_tuning", 1)
CLASSES = family_of(Task("t", "classification", ("text",), "label", ("a", "b", "c"), "accuracy", ("accuracy",), Budget()))
OTHERS = {"schedule": "cosine", "optimizer": "nadam", "mixout": 0.5, "reinit_layers": 1.0, "label_smoothing": 0.1, "dropout_factor": 2.0}
"""Values of recipes that differ from the last of those worth searching."""


def applied(*modules: PeftModule) -> AppliedModules:
    torch.manual_seed(0)
    return apply(FAMILIES["bert"].build(), Configuration(modules), FAMILIES["bert"].batch())


def recipes_on(handle: AppliedModules, **training: float) -> Recipes:
    return Recipes(training, handle, CLASSES)


def trained(runner: TrialRunner, points: tuple[float, ...] = (1.0,), **training: Any) -> Outcome:
    """Run a trial of everything that recipes need, in as many assignments as there are points."""
    configuration = Configuration((FULL,), {"learning_rate": 1e-2, **training})
    outcome: Outcome | None = None
    for point in points:
        checkpoint = None if outcome is None else outcome.checkpoint
        outcome = runner.run(Assignment(0, configuration, BUDGET, 0, (point,), checkpoint))
        assert outcome.error == "", outcome.traceback
    assert outcome is not None
    return outcome


@pytest.fixture(scope="module")
def plain(runner: TrialRunner) -> Outcome:
    return trained(runner)


@pytest.mark.parametrize("name", [name for name in TRAINING_PARAMETERS if name not in ("learning_rate", "masked_thought")])
def test_every_recipe_changes_the_training_pauses_to_the_last_bit_and_leaves_the_backbone(
    runner: TrialRunner, plain: Outcome, name: str
) -> None:
    before = state(runner)
    value = OTHERS.get(name, TRAINING_PARAMETERS[name].values[-1])
    whole, paused = (trained(runner, points, **{name: value}) for points in ((1.0,), (0.3, 1.0)))
    assert whole.adapter["adapter.safetensors"] == paused.adapter["adapter.safetensors"]
    assert whole.adapter["adapter.safetensors"] != plain.adapter["adapter.safetensors"]
    assert whole.measurement is not None
    assert paused.measurement is not None
    assert plain.measurement is not None
    cost = plain.measurement.examples_seen * (2 if name in ("r_drop", "adversarial_noise") else 1)
    assert whole.measurement.examples_seen == paused.measurement.examples_seen == cost
    assert state(runner) == before


@pytest.mark.parametrize("name", [str(name) for name in TRAINING_PARAMETERS["optimizer"].values])
def test_every_optimizer_learns_and_goes_on_from_its_packed_state(name: str) -> None:
    if name in ("lion", "lion8bit", "adamw8bit"):
        pytest.importorskip("bitsandbytes")
    torch.manual_seed(0)
    target = torch.randn(96, 64)  # large enough for states of eight bits

    def steps(parameter: torch.nn.Parameter, optimizer: torch.optim.Optimizer, n: int) -> float:
        for _ in range(n):
            optimizer.param_groups[0]["lr"] = 0.1
            parameter.grad = parameter.detach() - target
            optimizer.step()
        return float((parameter.detach() - target).norm())

    def fresh(value: torch.Tensor) -> tuple[torch.nn.Parameter, torch.optim.Optimizer]:
        parameter = torch.nn.Parameter(value.clone())
        return parameter, make_optimizer(name, [{"params": [parameter], "weight_decay": 0.0, FACTOR: 1.0}])

    whole = fresh(torch.zeros(96, 64))
    assert steps(*whole, 5) < 0.99 * float(target.norm())
    again = fresh(whole[0].detach())
    again[1].load_state_dict(unpack_tree(pack_tree(whole[1].state_dict())))
    assert steps(*again, 3) == steps(*whole, 3)
    assert torch.equal(again[0], whole[0])


def test_an_optimizer_that_is_not_installed_is_named_before_any_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "find_spec", lambda package: None)
    topology, space = applied(LORA).topology, SearchSpace("x", (), (Categorical("optimizer", ("adamw", "lion")),), 3)
    with pytest.raises(UnavailableError, match=r"the optimizer lion needs bitsandbytes.*autopeft\[quantize\]"):
        usable_recipes(space, topology, CLASSES)


def test_what_cannot_be_used_is_left_out_of_a_space_with_the_reason() -> None:
    topology, lists = applied(LORA).topology, [Ordinal(name, (0.0, 0.5), first_is_off=True) for name in ("mixout", "r_drop", "l2_start")]
    slots = tuple(ModuleSlot(name, (MethodChoice(name, (0, 1)),)) for name in ("lora", "last_layers"))
    numbers = family_of(Task("t", "regression", ("text",), "score", (), "loss", ("loss",), Budget()))
    space = SearchSpace("x", slots[:1], tuple(lists), 3, fixed_training=(("masked_thought", 0.1),))
    kept, reasons = usable_recipes(space, topology, numbers)
    assert ([one.name for one in kept.training], kept.fixed_training) == (["l2_start"], ())
    assert [reason.partition(" is left out: ")[0] for reason in reasons] == ["masked_thought", "mixout", "r_drop"]
    assert "full_fine_tuning, gradual_unfreezing, hft, last_layers" in reasons[1]
    kept, reasons = usable_recipes(SearchSpace("x", slots, tuple(lists), 3), topology, CLASSES)
    assert (len(kept.training), reasons) == (3, ())


def test_hidden_states_are_not_reused_under_noise(runner: TrialRunner) -> None:
    for training, reason in (({"embedding_noise": 5.0}, "embedding_noise changes inputs"), ({"r_drop": 1.0}, "")):
        configuration = Configuration((PeftModule("lora", 4, (2,)),), training)
        found = runner.run(Assignment(0, configuration, BUDGET, 0)).measurement
        assert found is not None
        assert found.not_reused.startswith(reason)
        assert bool(found.not_reused) == bool(reason)


def test_rates_of_head_and_layers_multiply_what_a_method_asks_for() -> None:
    handle = applied(FULL, replace(LORA, options={"b_rate": 4.0}))
    hooks = TrainingHooks(handle, recipes_on(handle, head_rate=3.0, layer_rate_decay=0.5))
    rates = {id(one): group[FACTOR] for group in hooks.parameter_groups(0.0) for one in group["params"]}
    found = {name: rates[id(parameter)] for name, parameter in handle.trainable_parameters().items()}
    assert len(rates) == len(found)
    expected = {"classifier.weight": 3.0, "embeddings.word": 0.5**3, "layer.0.output.dense.weight": 0.5**2, "layer.2.output.dense.w": 1.0}
    expected |= {"layer.0.attention.self.query.lora_A": 0.5**2, "layer.0.attention.self.query.lora_B": 4 * 0.5**2}
    for part, rate in expected.items():
        assert {value for name, value in found.items() if part in name} == {rate}, part


def test_label_smoothing_is_torch_s() -> None:
    logits, targets = torch.randn(5, 3), torch.tensor([0, 1, 2, 1, 0])
    outputs, batch = SimpleNamespace(logits=logits), Batch({}, targets)
    found = recipes_on(applied(LORA), label_smoothing=0.2).loss(CLASSES.loss(outputs, batch), outputs, batch, CLASSES)
    torch.testing.assert_close(found, functional.cross_entropy(logits, targets, reduction="sum", label_smoothing=0.2))


def test_r_drop_is_half_the_paper_s_loss() -> None:
    first, second, targets = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 1, 2, 1])
    p, q = first.softmax(1), second.softmax(1)
    cross = -(p[range(4), targets].log() + q[range(4), targets].log()).sum()
    paper = cross + 0.7 / 2 * ((p * (p / q).log()).sum() + (q * (q / p).log()).sum())
    recipes = recipes_on(applied(LORA), r_drop=0.7)
    outputs, batch = SimpleNamespace(logits=torch.cat([first, second])), Batch({}, targets.repeat(2))
    assert recipes.rows([3, 5]) == [3, 5, 3, 5]
    torch.testing.assert_close(recipes.loss(CLASSES.loss(outputs, batch), outputs, batch, CLASSES), paper / 2)


def test_l2_to_the_start_is_the_penalty_s_gradient() -> None:
    handle = applied(LORA)
    hooks = TrainingHooks(handle, recipes_on(handle, l2_start=0.3))
    hooks.start(5, torch.optim.SGD(handle.trainable_parameters().values()))
    first = {name: parameter.detach().clone() for name, parameter in handle.module_parameters.items()}
    for parameter in handle.module_parameters.values():
        parameter.data += torch.randn_like(parameter)
        parameter.grad = torch.zeros_like(parameter)
    hooks.after_backward(0)
    penalty = sum(0.3 / 2 * (parameter - first[name]).pow(2).sum() for name, parameter in handle.module_parameters.items())
    wanted = torch.autograd.grad(penalty, list(handle.module_parameters.values()))
    for parameter, gradient in zip(handle.module_parameters.values(), wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_mixout_is_the_paper_s_mix_and_its_gradient() -> None:
    handle = applied(FULL)
    name = "bert.encoder.layer.1.output.dense.weight"
    hooks, parameter = TrainingHooks(handle, recipes_on(handle, mixout=0.4)), handle.module_parameters[name]
    hooks.start(5, torch.optim.SGD(handle.trainable_parameters().values()))
    pretrained = parameter.detach().clone()
    parameter.data += torch.randn_like(parameter)
    own = parameter.detach().clone()
    hooks.before_step(0)
    mask = (parameter - (pretrained - 0.4 * pretrained) / 0.6).abs() < 1e-5  # where M = 1
    variable = own.clone().requires_grad_()
    mixed = (mask * pretrained + ~mask * variable - 0.4 * pretrained) / 0.6
    torch.testing.assert_close(parameter.detach(), mixed.detach())
    assert float(mask.float().mean()) == pytest.approx(0.4, abs=0.1)
    parameter.grad = torch.randn_like(parameter)
    (wanted,) = torch.autograd.grad(mixed, variable, parameter.grad.clone())
    hooks.after_backward(0)
    torch.testing.assert_close(parameter.grad, wanted)
    assert torch.equal(parameter, own)


def test_top_layers_are_drawn_anew_and_no_others() -> None:
    handle = applied(PeftModule("last_layers", 2))
    before = {name: tensor.clone() for name, tensor in handle.model.state_dict().items()}
    recipes_on(handle, reinit_layers=1.0).prepare(0)
    changed = {name for name, tensor in handle.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(".layer.2." in name for name in changed)
    assert {name for name in before if ".layer.2." in name and name.endswith("dense.weight")} <= changed
    with pytest.raises(UnsupportedError, match="these layers are not trained"):
        recipes_on(handle, reinit_layers=3.0).prepare(0)
    with pytest.raises(UnsupportedError, match="the backbone has 3 layers"):
        recipes_on(handle, reinit_layers=4.0).prepare(0)
    with pytest.raises(UnsupportedError, match="mixout can't be used: none of its modules"):
        recipes_on(applied(LORA), mixout=0.5).prepare(0)


def test_noise_on_embeddings_has_the_paper_s_size() -> None:
    batch = Batch({"attention_mask": torch.tensor([[1] * 16, [1] * 4 + [0] * 12])}, torch.zeros(2))
    noise = EmbeddingNoise(5.0, applied(LORA)).embedded(torch.zeros(2, 16, 64), batch, 0)
    for row, length in enumerate((16, 4)):
        most = 5.0 / math.sqrt(length * 64)
        assert 0.95 * most < float(noise[row].abs().max()) <= most
        assert float(noise[row].std()) == pytest.approx(most / math.sqrt(3), rel=0.1)


def test_adversarial_noise_goes_up_the_gradient_and_stays_in_its_ball() -> None:
    batch = Batch({"attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])}, torch.zeros(2))
    embeddings, recipe, direction = torch.zeros(2, 4, 8), AdversarialNoise(0.3, applied(LORA)), torch.randn(2, 4, 8)
    first = recipe.embedded(embeddings, batch, 0)
    assert float(first.detach()[0].abs().max()) <= 0.3 / math.sqrt(4 * 8)
    assert not first.detach()[1, 2:].any()
    (first * direction).sum().backward()
    second = recipe.embedded(embeddings, batch, 1).detach()
    for row in range(2):
        moved = first.detach()[row] + 0.3 * direction[row] / direction[row].norm()
        torch.testing.assert_close(second[row], moved * min(1.0, 0.3 / float(moved.norm())))
        assert float(second[row].norm()) <= 0.3 + 1e-6


def test_hidden_tokens_are_answers_or_words() -> None:
    task = Task("t", "causal_lm", ("prompt",), "completion", (), "loss", ("loss",), Budget())
    family = family_of(task)
    rows = [
        {"input_ids": [1, 5, 6, 7, 8], "attention_mask": [1] * 5, "learnt": [0, 0, 0, 1, 1]},
        {"input_ids": [1, 5, 7], "attention_mask": [1] * 3, "learnt": [0, 0, 1]},
    ]
    tokenizer = SimpleNamespace(pad_token_id=0, all_special_ids=[0, 1], mask_token_id=None, unk_token_id=9)
    split = Encoded(family, tokenizer, rows, [], np.array([5, 3]), np.array([2, 1]))
    batch = split.batch([0, 1])
    handle = applied(LORA)
    answers = torch.tensor([[0, 0, 0, 1, 1], [0, 0, 1, 0, 0]]).bool()
    assert torch.equal(family.answer_positions(batch), answers)
    ids = batch.inputs["input_ids"]
    for name, may_go in (("masked_thought", answers), ("word_dropout", ~answers & (ids > 1))):
        gone = [RECIPES[name](0.3, handle).changed(batch, split).inputs["input_ids"] for _ in range(400)]
        share = torch.stack([(one == 9).float() for one in gone]).mean(0)
        assert torch.equal(share > 0, may_go)
        assert float(share[may_go].mean()) == pytest.approx(0.3, abs=0.05)
        assert all(torch.equal(one[one != 9], ids[one != 9]) for one in gone)


def test_swapped_tokens_stay_in_their_text() -> None:
    texts = [[1, *range(10, 30), 2, *range(40, 50), 2], [1, 10, 2, 11, 2]]
    rows = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in texts]
    tokenizer = SimpleNamespace(pad_token_id=0, all_special_ids=[0, 1, 2], padding_side="right", pad_token_type_id=0)
    split = Encoded(CLASSES, tokenizer, rows, np.array([0, 1]), np.array([33, 5]), np.array([1, 1]))
    batch = CLASSES.collate(split, [0, 1])
    before, recipe = batch.inputs["input_ids"], RECIPES["word_swap"](0.1, applied(LORA))
    n_moved = []
    for _ in range(200):
        after = recipe.changed(batch, split).inputs["input_ids"]
        for start, end in ((1, 21), (22, 32)):
            assert after[0, start:end].sort().values.equal(before[0, start:end])
        assert after[0, [0, 21, 32]].tolist() == [1, 2, 2]
        assert after[1].equal(before[1])  # of one word each
        n_moved.append(int((after != before).sum()))
    assert 4.5 < np.mean(n_moved) < 6  # three swaps; some of a token with itself, some of the same token twice


def test_mixup_is_the_mix_of_inputs_and_of_losses() -> None:
    handle, targets = applied(LORA), torch.tensor([0, 1, 2, 1, 0])
    mask = torch.tensor([[1] * n + [0] * (6 - n) for n in (6, 4, 3, 2, 1)])
    images = torch.randn(5, 3, 4, 4)
    for copies in (1, 2):
        recipes = recipes_on(handle, mixup=0.4, **({"r_drop": 1.0} if copies == 2 else {}))
        recipe = recipes.hooks[0]
        rows = torch.tensor(recipes.rows(list(range(5))))
        batch = Batch({"attention_mask": mask[rows], "pixel_values": images[rows]}, targets[rows])
        shares = []
        for _ in range(100):
            changed = recipe.changed(batch, SimpleNamespace())  # type: ignore[arg-type]
            partners, share = recipe._partners, recipe._share  # type: ignore[attr-defined]
            assert sorted(partners[:5].tolist()) == list(range(5))
            assert (partners.view(copies, 5) % 5 == partners[:5]).all()  # copies of a row have one partner
            shares.append(share)
        other = rows[partners]
        assert changed.inputs["attention_mask"].equal(mask[rows] | mask[other])
        torch.testing.assert_close(changed.inputs["pixel_values"], share * images[rows] + (1 - share) * images[other])
        embeddings, logits = torch.randn(len(rows), 6, 8), torch.randn(len(rows), 3)
        torch.testing.assert_close(recipe.embedded(embeddings, batch, 0), share * embeddings + (1 - share) * embeddings[partners])
        outputs = SimpleNamespace(logits=logits)
        soft = share * functional.one_hot(targets[rows], 3) + (1 - share) * functional.one_hot(targets[other], 3)
        found = recipe.loss(CLASSES.loss(outputs, batch), outputs, batch, CLASSES)
        torch.testing.assert_close(found, functional.cross_entropy(logits, soft, reduction="sum"))
        assert np.mean(shares) == pytest.approx(0.5, abs=0.12)
        assert np.var(shares) == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.05)  # that of Beta(0.4, 0.4)


def test_batches_and_epochs_cost_the_same(runner: TrialRunner, data: TaskData) -> None:
    budget = Budget(train_examples=20, epochs=2, batch_size=8, max_length=32)
    assert trained_budget(budget, {}, 40) is budget
    assert trained_budget(budget, {"batch_factor": 0.5}, 40) == replace(budget, batch_size=4)
    assert trained_budget(budget, {"epochs_factor": 2.0}, 40) == replace(budget, epochs=4, train_examples=10)
    assert trained_budget(budget, {"epochs_factor": 0.5}, 40) == replace(budget, epochs=1, train_examples=40)
    assert trained_budget(budget, {"epochs_factor": 0.5}, 30).train_examples == 30
    assert trained_budget(replace(budget, train_examples=None), {"epochs_factor": 3.0}, 30).train_examples == 10
    assert trained_budget(replace(budget, batch_tokens=64), {"batch_factor": 0.25}, 40).batch_tokens == 32
    for training, n_epochs in (({"batch_factor": 2.0}, 2), ({"epochs_factor": 2.0}, 4)):
        found = runner.run(Assignment(0, Configuration((LORA,), training), budget, 0, budget.epoch_ends)).measurement
        assert found is not None
        assert [point.epoch for point in found.curve] == [n_epochs / 2, n_epochs]
        assert found.examples_seen == 40
    assert len(batch_sizes(runner.examples.of(replace(budget, batch_size=16))[0], replace(budget, batch_size=16))) == 2


def test_a_kind_of_task_without_classes_is_refused(runner: TrialRunner) -> None:
    handle = applied(LORA)
    numbers = family_of(Task("t", "regression", ("text",), "score", (), "loss", ("loss",), Budget()))
    for name in ("label_smoothing", "r_drop"):
        with pytest.raises(UnsupportedError, match=f"{name} can't be used: the loss of regression is no choice among classes"):
            Recipes({name: 0.5}, handle, numbers)
    tags = family_of(Task("t", "token_classification", ("tokens",), "tags", ("O", "B-x"), "span_f1", ("span_f1",), Budget()))
    with pytest.raises(UnsupportedError, match="mixup can't be used: an example of token_classification has no single target"):
        Recipes({"mixup": 0.4}, handle, tags)
    with pytest.raises(UnsupportedError, match="masked_thought can't be used: classification doesn't have a model continue answers"):
        Recipes({"masked_thought": 0.5}, handle, CLASSES)


def test_the_page_lists_every_parameter_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    for one in TRAINING_PARAMETERS.values():
        suggested = ", ".join(map(written, one.values)) or "-"
        assert f"| `{one.name}` | {one.summary} | {written(one.default)} | {suggested} | {one.paper or '-'} |" in page


def test_a_recipe_at_its_default_is_no_recipe() -> None:
    plain = Configuration((LORA,), {"learning_rate": 1e-3})
    defaults = {name: value for name, value in DEFAULTS.items() if not TRAINING_PARAMETERS[name].is_always_kept}
    same = Configuration((LORA,), {"learning_rate": 1e-3, **defaults})
    assert (same, same.id) == (plain, plain.id)
    other = Configuration((LORA,), {"learning_rate": 1e-3, "schedule": "cosine", "r_drop": 1})
    assert Configuration.from_json(other.to_json()) == other
    assert other.describe().endswith("learning rate 0.001, r drop 1, schedule cosine")
