"""Methods that change a training's course, against the formulas of their papers."""

import pytest
import torch

from autopeft.configuration import Configuration, PeftModule
from autopeft.methods.applied import AppliedModules
from autopeft.methods.compose import apply
from autopeft.methods.topology import unwrapped
from autopeft.training.hooks import TrainingHooks
from tests.methods.families import FAMILIES, logits_of

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


@pytest.mark.parametrize(
    "module",
    [PeftModule("gradual_unfreezing", 1), PeftModule("hft", 1), PeftModule("greentrainer", 1, options={"backward_share": 1})],
    ids=lambda module: module.method,
)
def test_what_several_methods_wrap_goes_by_its_own_name(module: PeftModule) -> None:
    wrappers = (PeftModule("boft", 1, (0, 1, 2)), PeftModule("lora", 2, (0, 1, 2)))
    alone, wrapped = applied_to_bert(module), applied_to_bert(*wrappers, module)
    own = set(values(alone))
    moved = moved_by_step(wrapped, 4)
    assert any(".base_layer.base_layer." in name for name in moved[-1])
    assert [own & set(map(unwrapped, names)) for names in moved] == moved_by_step(alone, 4)


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


def test_triadaptlora_widens_the_targets_whose_triangles_grew_most() -> None:
    """Dense triangles that are masked by rank, in hooks of their own; plain SGD, so that the optimiser has no moments."""
    n_steps, until, total = 12, 6, 8
    applied = applied_to_bert(PeftModule("triadaptlora", 4, (0, 2), options={"mean_rank_fraction": 0.5}))
    model = FAMILIES["bert"].build().requires_grad_(False)
    linears = [getattr(model.bert.encoder.layer[layer].attention.self, name) for layer in (0, 2) for name in ("query", "value")]
    starts = [(update.left, update.right) for update in applied.hooks[0]._updates]
    left, right = ([torch.nn.Parameter(pair[side].detach().clone()) for pair in starts] for side in (0, 1))
    lower, upper = ([torch.nn.Parameter(torch.zeros(4, 4)) for _ in linears] for _ in range(2))
    ranks = [1] * 4

    def core(index: int) -> torch.Tensor:
        rank = ranks[index]
        both = lower[index].tril() + upper[index].triu()
        return torch.block_diag(both[:rank, :rank], torch.zeros(4 - rank, 4 - rank))

    for index, linear in enumerate(linears):
        linear.register_forward_hook(lambda _, x, y, index=index: y + 2 * x[0] @ (left[index] @ core(index) @ right[index]).T)
    head = model.classifier.requires_grad_(True)
    plain = torch.optim.SGD([*left, *right, *lower, *upper, *head.parameters()], lr=0.5)
    hooks = TrainingHooks(applied)
    ours = torch.optim.SGD(hooks.parameter_groups(0.0), lr=0.5)
    hooks.start(n_steps, ours)
    sizes = [0.0] * 4
    for step in range(n_steps):
        hooks.before_step(step)
        for one, optimizer in ((applied.model, ours), (model, plain)):
            one(**FAMILIES["bert"].batch(), labels=LABELS).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        hooks.after_step(step)
        if step < until:
            now = [float(core(index).detach().norm()) / ranks[index] for index in range(4)]
            order = sorted((index for index in range(4) if ranks[index] < 4), key=lambda index: sizes[index] - now[index])
            left_over = total - sum(ranks)
            for index in order[: min(left_over, max(1, left_over * (step + 1) // until))]:
                ranks[index] += 1
            sizes = now
        assert [int(rank) for rank in applied.hooks[0].tensors().values()] == ranks, step
        assert hooks.may_be_kept(step + 1) == (step + 1 >= until)
    assert sum(ranks) == total
    assert len(set(ranks)) > 1
    expected = logits_of(model, FAMILIES["bert"].batch())
    torch.testing.assert_close(logits_of(applied.model, FAMILIES["bert"].batch()), expected, rtol=1e-4, atol=1e-5)
    applied.merge()
    torch.testing.assert_close(logits_of(applied.model, FAMILIES["bert"].batch()), expected, rtol=1e-4, atol=1e-5)


def test_the_best_tensors_within_a_budget_are_found() -> None:
    from autopeft.methods.green import choose

    generator = torch.Generator().manual_seed(0)
    for share in (0.2, 0.5, 0.8):
        gains, own, passing = (torch.rand(9, generator=generator).tolist() for _ in range(3))
        gains[3] = -gains[3]
        total = sum(own) + sum(passing)
        best = max(
            (sum(gains[k] for k in range(9) if subset >> k & 1), subset)
            for subset in range(2**9)
            if sum(own[k] for k in range(9) if subset >> k & 1) + sum(passing[: max(subset.bit_length() - 1, 0)]) <= share * total
        )[1]
        assert choose(gains, own, passing, share) == [k for k in range(9) if best >> k & 1]


def test_greentrainer_measures_in_the_first_step_of_a_round_and_trains_what_it_chose() -> None:
    """Importance and costs are worked out beside it: rows times entries, 2 FLOPs each, and what attention passes on."""
    from autopeft.methods.green import choose

    applied = applied_to_bert(PeftModule("greentrainer", 1, options={"rounds": 2, "backward_share": 0.4}))
    model, batch = applied.model, FAMILIES["bert"].batch()
    rows, positions = batch["input_ids"].numel(), batch["input_ids"].shape[1]
    names, own, passing = [], [], []
    for name, parameter in reversed([item for item in model.named_parameters() if "classifier" not in item[0]]):
        if name.endswith("self.value.bias"):
            names.append("")
            own.append(0)
            passing.append(rows * positions * 8 * 32)
        count = len(batch["input_ids"]) if "pooler" in name else positions if "position_embeddings" in name else rows
        entries = parameter.shape[1] if "embeddings.weight" in name else parameter.numel()
        names.append(name)
        own.append(count * entries * (1 if name.endswith("bias") or "embeddings.weight" in name else 2))
        passing.append(0 if name.endswith("bias") or "embeddings.weight" in name else count * entries * (5 if "LayerNorm" in name else 2))
    hooks = TrainingHooks(applied)
    optimizer = torch.optim.AdamW(hooks.parameter_groups(0.0), lr=1e-2)
    hooks.start(6, optimizer)
    chosen: list[set[str]] = []
    for step in range(6):
        before = values(applied)
        hooks.before_step(step)
        model(**batch, labels=LABELS if step < 3 else 1 - LABELS).loss.backward()
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        hooks.after_backward(step)
        optimizer.step()
        after = values(applied)
        if step % 3 == 0:
            gains = [-float((gradients[name] * (after[name] - before[name])).sum()) if name else 0.0 for name in names]
            chosen.append({names[number] for number in choose(gains, own, passing, 0.4)})
        hooks.after_step(step)
        optimizer.zero_grad()
        moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name]) and "classifier" not in name}
        assert moved <= chosen[-1] if step % 3 else moved > chosen[-1]
        assert step % 3 == 0 or {name for name, gradient in gradients.items() if gradient is not None and "class" not in name} == chosen[-1]
    assert chosen[0] != chosen[1]


@pytest.mark.parametrize("family", ["gpt2", "albert", "qwen3_moe", "mamba2", "swin", "whisper", "wav2vec2"])
def test_greentrainer_keeps_to_its_budget_whatever_a_model_is_made_of(family: str) -> None:
    applied = apply(FAMILIES[family].build(), Configuration((PeftModule("greentrainer", 1),)), FAMILIES[family].batch())
    hooks, hook = TrainingHooks(applied), applied.hooks[0]
    optimizer = torch.optim.AdamW(hooks.parameter_groups(0.0), lr=1e-3)
    hooks.start(8, optimizer)
    hooks.before_step(0)
    applied.model(**FAMILIES[family].batch()).logits.pow(2).sum().backward()
    hooks.after_backward(0)
    optimizer.step()
    hooks.after_step(0)
    frozen = set(hook.state_dict()["frozen"])
    own, passing = hook.costs()
    trained = [number for number, one in enumerate(hook._operations) if one.name and one.name not in frozen]
    assert frozen
    assert trained
    spent = sum(own[number] for number in trained) + sum(passing[: max(trained)])
    assert 0.2 * sum(own + passing) < spent <= 0.5 * sum(own + passing)


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
