"""Methods of two stages, against plain implementations that share no code with them."""

import pytest
import torch
from torch import nn

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnsupportedError
from autopeft.methods.applied import AppliedModules
from autopeft.methods.checkpoint import pack, unpack
from autopeft.methods.compose import apply
from autopeft.methods.discovery import discover
from autopeft.training.hooks import TrainingHooks
from tests.methods.families import FAMILIES, logits_of

BATCH = FAMILIES["bert"].batch()
LABELS = torch.tensor([0, 1, 0])
N_STEPS, RATE = 8, 1e-2


def applied_to_bert(module: PeftModule) -> AppliedModules:
    torch.manual_seed(0)
    return apply(FAMILIES["bert"].build(), Configuration((module,)), BATCH)


def train(applied: AppliedModules, n_steps: int = N_STEPS, scale: float = 1.0) -> torch.optim.Optimizer:
    hooks = TrainingHooks(applied)
    hooks.scale_loss(scale)
    optimizer = torch.optim.AdamW(hooks.parameter_groups(0.0), lr=RATE)
    hooks.start(n_steps, optimizer)
    for step in range(n_steps):
        hooks.before_step(step)
        loss = applied.model(**BATCH, labels=LABELS).loss
        extra = hooks.extra_loss()
        (scale * (loss if extra is None else loss + extra)).backward()
        for parameter in applied.trainable_parameters().values():
            if parameter.grad is not None:
                parameter.grad /= scale
        hooks.after_backward(step)
        optimizer.step()
        hooks.after_step(step)
        optimizer.zero_grad()
    return optimizer


def heads_of(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for name, parameter in model.named_parameters() if name.startswith("classifier")]


def test_lt_sft_is_the_lottery_ticket() -> None:
    """Train all, keep the largest changes, rewind, train these: with a mask on the gradients of the dense weights."""
    applied = applied_to_bert(PeftModule("lt_sft", 10, (0, 2)))
    train(applied)
    model = FAMILIES["bert"].build().requires_grad_(False)
    weights = [
        module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and ("layer.0." in name or "layer.2." in name)
    ]
    first = [weight.detach().clone() for weight in weights]
    n_weights = sum(weight.numel() for weight in weights)
    n_kept = round(n_weights / 100)
    assert applied.parameter_count == n_kept
    for parameter in (*weights, *heads_of(model)):
        parameter.requires_grad_(True)
    masks: list[torch.Tensor] | None = None
    of_head, of_weights = torch.optim.AdamW(heads_of(model), RATE, weight_decay=0.0), torch.optim.AdamW(weights, RATE, weight_decay=0.0)
    for step in range(N_STEPS):
        if step == N_STEPS // 2:
            moved = torch.cat([(weight - before).abs().flatten() for weight, before in zip(weights, first, strict=True)]).detach()
            threshold = moved.sort(descending=True).values[n_kept - 1]
            masks = [(weight.detach() - before).abs() >= threshold for weight, before in zip(weights, first, strict=True)]
            for weight, before in zip(weights, first, strict=True):
                weight.data.copy_(before)
            of_weights = torch.optim.AdamW(weights, RATE, weight_decay=0.0)
        distance = sum((weight - before).abs().sum() for weight, before in zip(weights, first, strict=True))
        loss = model(**BATCH, labels=LABELS).loss + 0.1 * distance / (n_kept if masks else n_weights)
        loss.backward()
        for index, weight in enumerate(weights):
            if masks is not None:
                weight.grad *= masks[index]
        for optimizer in (of_head, of_weights):
            optimizer.step()
            optimizer.zero_grad()
    torch.testing.assert_close(logits_of(applied.model, BATCH), logits_of(model, BATCH), rtol=1e-4, atol=1e-5)
    applied.merge()
    merged = dict(applied.model.named_parameters())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(merged[name], parameter, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


def test_lofit_selects_heads_and_shifts_these() -> None:
    module = PeftModule("lofit", 1, (0, 2), options={"heads": 0.25})
    applied = applied_to_bert(module)
    torch.manual_seed(5)
    train(applied)
    assert applied.parameter_count == 2 * 8  # a quarter of eight heads of width 8
    model = FAMILIES["bert"].build().requires_grad_(False)
    torch.manual_seed(5)
    factors = {layer: nn.Parameter(torch.randn(4, 8) * 1e-3) for layer in (0, 2)}
    offsets = {layer: nn.Parameter(torch.zeros(4, 8)) for layer in (0, 2)}
    chosen = {layer: torch.zeros(4, 1) for layer in (0, 2)}
    stage = [1]

    def edit(layer: int):
        def hook(_: nn.Module, __: object, output: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            heads = output[0].unflatten(-1, (4, 8))
            heads = heads * (1 + factors[layer]) if stage[0] == 1 else heads + chosen[layer] * offsets[layer]
            return (heads.flatten(-2), *output[1:])

        return hook

    for layer in (0, 2):
        model.bert.encoder.layer[layer].attention.self.register_forward_hook(edit(layer))
    for parameter in heads_of(model):
        parameter.requires_grad_(True)
    of_head = torch.optim.AdamW(heads_of(model), RATE, weight_decay=0.0)
    of_edits = torch.optim.AdamW(factors.values(), RATE, weight_decay=0.0)
    for step in range(N_STEPS):
        if step == N_STEPS // 2:
            sizes = torch.cat([factors[layer].detach().pow(2).sum(1) for layer in (0, 2)])
            best = sizes.argsort(descending=True)[:2].tolist()
            for place in best:
                chosen[(0, 2)[place // 4]][place % 4] = 1
            stage[0], of_edits = 2, torch.optim.AdamW(offsets.values(), RATE, weight_decay=0.0)
        loss = model(**BATCH, labels=LABELS).loss
        if stage[0] == 1:
            loss = loss + 5e-4 * sum(factor.abs().sum() for factor in factors.values())
        loss.backward()
        for optimizer in (of_head, of_edits):
            optimizer.step()
            optimizer.zero_grad()
    torch.testing.assert_close(logits_of(applied.model, BATCH), logits_of(model, BATCH), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("module", [PeftModule("lt_sft", 10, (0, 2)), PeftModule("lofit", 1, (0, 2), options={"heads": 0.25})])
def test_places_are_saved_and_the_optimiser_holds_only_these(module: PeftModule) -> None:
    applied = applied_to_bert(module)
    optimizer = train(applied)
    held = sum(tensor.numel() for state in optimizer.state.values() for name, tensor in state.items() if name == "exp_avg")
    assert held == applied.parameter_count + applied.head_parameter_count
    places = applied.hooks[0].tensors()["places"]
    assert places.tolist() != list(range(len(places)))
    expected, files = logits_of(applied.model, BATCH), pack(applied)
    model = FAMILIES["bert"].build()
    unpack(model, files, topology=discover(model, BATCH))
    assert torch.equal(logits_of(model, BATCH), expected)


def test_a_training_of_one_step_ends_with_the_places_chosen() -> None:
    applied = applied_to_bert(PeftModule("lt_sft", 10, (0, 2)))
    train(applied, n_steps=1)
    assert applied.hooks[0].may_be_kept(1)


def test_one_module_changes_a_weight() -> None:
    model = FAMILIES["bert"].build()
    both = Configuration((PeftModule("lt_sft", 10, (0,)), PeftModule("oft", 4, (0,))))
    with pytest.raises(UnsupportedError, match="lt_sft takes a linear for itself, and oft would change its weight too"):
        apply(model, both, BATCH)
    apart = Configuration((PeftModule("lt_sft", 10, (0,), ("ffn_in",)), PeftModule("lora", 4, (0,))))
    apply(model, apart, BATCH).eject()


def test_spiel_drops_the_smallest_changes_and_grows_where_gradients_add_up() -> None:
    """Dense weights with a mask, changed by the rule of the paper; plain SGD, so that the optimiser has no moments."""
    n_steps, interval, phase = 32, 4, 2
    torch.manual_seed(0)
    applied = apply(FAMILIES["bert"].build(), Configuration((PeftModule("spiel", 50, (1,), ("query", "ffn_in")),)), BATCH)
    parts = list(applied.hooks[0].tensors().values())
    model = FAMILIES["bert"].build().requires_grad_(False)
    block = model.bert.encoder.layer[1]
    weights = [block.attention.self.query.weight, block.intermediate.dense.weight]
    first = [weight.detach().clone() for weight in weights]
    masks = [
        torch.zeros(weight.numel()).index_fill(0, indices, 1.0).view(weight.shape) for weight, indices in zip(weights, parts, strict=True)
    ]
    assert [int(mask.sum()) for mask in masks] == [51, 77]
    for parameter in (*weights, *heads_of(model)):
        parameter.requires_grad_(True)
    hooks = TrainingHooks(applied)
    ours = torch.optim.SGD(hooks.parameter_groups(0.0), lr=0.3)
    hooks.start(n_steps, ours)
    plain = torch.optim.SGD([*weights, *heads_of(model)], lr=0.3)
    chosen: list[torch.Tensor] = []
    for step in range(n_steps):
        hooks.before_step(step)
        applied.model(**BATCH, labels=LABELS).loss.backward()
        hooks.after_backward(step)
        ours.step()
        hooks.after_step(step)
        ours.zero_grad()
        model(**BATCH, labels=LABELS).loss.backward()
        gradients = [weight.grad.clone().flatten() for weight in weights]
        for weight, mask in zip(weights, masks, strict=True):
            weight.grad *= mask
        plain.step()
        plain.zero_grad()
        if step % interval == 0:
            chosen = [gradient.abs().argsort(descending=True)[: int(mask.sum())] for gradient, mask in zip(gradients, masks, strict=True)]
            sums = [torch.zeros(len(candidates)) for candidates in chosen]
        if step % interval < phase:
            sums = [total + gradient[candidates] for total, gradient, candidates in zip(sums, gradients, chosen, strict=True)]
        if step % interval == phase - 1:
            share = 1.0 if step + 1 == phase else 0.2 * (1 - (step + 1) / n_steps)
            for index, weight in enumerate(weights):
                change, flat = (weight.detach() - first[index]).flatten(), masks[index].flatten()
                current = flat.nonzero().flatten()
                n_replaced = int(share * len(current))
                dropped = set(current[change[current].abs().argsort()[:n_replaced]].tolist())
                remaining = set(current.tolist()) - dropped
                order = [int(chosen[index][at]) for at in sums[index].abs().argsort(descending=True)]
                grown = set([at for at in order if at not in remaining][:n_replaced])
                gone = sorted(dropped - grown, key=lambda at: abs(float(change[at])))[: len(grown - dropped)]
                flat[list(gone)], flat[list(grown - dropped)] = 0.0, 1.0
                weight.data.view(-1)[list(gone)] = first[index].view(-1)[list(gone)]
        for mask, indices in zip(masks, parts, strict=True):
            assert set(mask.flatten().nonzero().flatten().tolist()) == set(indices.tolist()), step
    torch.testing.assert_close(logits_of(applied.model, BATCH), logits_of(model, BATCH), rtol=1e-4, atol=1e-5)
    applied.merge()
    torch.testing.assert_close(logits_of(applied.model, BATCH), logits_of(model, BATCH), rtol=1e-4, atol=1e-5)


def test_spiel_grows_where_rows_and_columns_have_the_largest_momenta() -> None:
    """Entry by entry, with SM3's numbers in dictionaries."""
    n_steps, interval = 32, 4
    torch.manual_seed(0)
    module = PeftModule("spiel", 50, (1,), ("query",), {"growth": "momenta"})
    applied = apply(FAMILIES["bert"].build(), Configuration((module,)), BATCH)
    (indices,) = applied.hooks[0].tensors().values()
    (values,) = applied.module_parameters.values()
    hooks = TrainingHooks(applied)
    optimizer = torch.optim.AdamW(hooks.parameter_groups(0.0), lr=RATE)
    hooks.start(n_steps, optimizer)
    rows, columns = dict.fromkeys(range(32), 0.0), dict.fromkeys(range(32), 0.0)
    n_moved = 0
    for step in range(n_steps):
        hooks.before_step(step)
        applied.model(**BATCH, labels=LABELS).loss.backward()
        hooks.after_backward(step)
        before = [divmod(index, 32) for index in indices.tolist()]
        squares = {place: min(rows[place[0]], columns[place[1]]) + float(g) ** 2 for place, g in zip(before, values.grad, strict=True)}
        for row, column in before:
            rows[row] = max(square for place, square in squares.items() if place[0] == row)
            columns[column] = max(square for place, square in squares.items() if place[1] == column)
        optimizer.step()
        changes = dict(zip(before, values.tolist(), strict=True))
        hooks.after_step(step)
        optimizer.zero_grad()
        after = [divmod(index, 32) for index in indices.tolist()]
        n_replaced = int(0.2 * (1 - (step + 1) / n_steps) * 51) if (step + 1) % interval == 0 else 0
        gone = set(sorted(before, key=lambda place: abs(changes[place]))[:n_replaced])
        others = [divmod(index, 32) for index in range(1024) if divmod(index, 32) not in changes]
        grown = set(sorted(others, key=lambda place: -rows[place[0]] * columns[place[1]])[:n_replaced])
        assert set(after) == set(before) - gone | grown, step
        for number in (number for number, place in enumerate(after) if place in grown):
            assert float(values[number].detach()) == float(optimizer.state[values]["exp_avg"][number]) == 0
            expected = min(rows[after[number][0]], columns[after[number][1]]) / (step + 1)
            assert float(optimizer.state[values]["exp_avg_sq"][number]) == pytest.approx(expected, rel=1e-4)
        n_moved += n_replaced
    assert n_moved == 32


def test_what_spiel_grows_has_the_moments_of_its_gradients() -> None:
    """Whatever float16 multiplies the loss by: powers of two, which change no bit here."""
    applied, scaled = (applied_to_bert(PeftModule("spiel", 10, (0, 2))) for _ in range(2))
    optimizer, other = train(applied, n_steps=16), train(scaled, n_steps=16, scale=1024.0)
    for parameter, twin in zip(applied.module_parameters.values(), scaled.module_parameters.values(), strict=True):
        assert (optimizer.state[parameter]["exp_avg_sq"] > 0).all()
        assert torch.equal(optimizer.state[parameter]["exp_avg_sq"], other.state[twin]["exp_avg_sq"])
        assert torch.equal(parameter, twin)
