import pytest

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnsupportedError
from autopeft.export.adapterhub_adapter import plan, reduction_factor
from autopeft.export.adapterhub_modules import split_off


def serial(size, layers, **options):
    return PeftModule("serial_adapter", size, layers, (), options)


def lora(rank, layers, targets=("query", "value"), **options):
    return PeftModule("lora", rank, layers, targets, options)


@pytest.mark.parametrize(
    ("modules", "family", "lost"),
    [
        ((serial(4, (0, 1)), PeftModule("parallel_adapter", 2, (2,)), PeftModule("prefix", 3, (1,)), lora(2, (0,))), "bert", []),
        (
            (serial(4, (0, 1)), PeftModule("parallel_adapter", 2, (1, 2))),
            "bert",
            ["parallel_adapter 2 in 1 2 (beside a serial adapter in the same layer)"],
        ),
        ((lora(2, (0,)), lora(4, (1,))), "bert", ["lora 4 [query value] in 1 (a second lora)"]),
        ((PeftModule("prefix", 2, (0,)), PeftModule("prefix", 4, (1,))), "bert", ["prefix 4 in 1 (a second prefix)"]),
        ((serial(4, (0,)), lora(4, (1,), dora=True)), "bert", ["lora 4 [query value] dora in 1 (its option dora)"]),
        ((serial(4, (0,), gated=True),), "bert", ["serial_adapter 4 gated in 0 (its option gated)"]),
        ((lora(4, (1,), ("attention_output", "query")),), "bert", ["lora 4 [attention_output query] in 1 (on attention_output)"]),
        ((lora(4, (1,), ("all",)),), "bert", ["lora 4 [all] in 1 (on every linear)"]),
        (
            (PeftModule("prefix", 2, (0,), (), {"mlp_width": 800}), serial(4, (0,))),
            "bert",
            ["prefix 2 mlp_width=800 in 0 (its option mlp_width)"],
        ),
        ((PeftModule("prefix", 2, (0,)),), "distilbert", ["prefix 2 in 0 (the library attends to a prefix otherwise on distilbert)"]),
        ((PeftModule("ia3", 1, (0,), ("value",)), serial(2, (1,))), "bert", ["ia3 1 [value] in 0"]),
    ],
    ids=lambda value: None if isinstance(value, str) else str(len(value)),
)
def test_what_would_be_lost_is_listed_in_full(modules, family, lost):
    kept, found = split_off(Configuration(modules), family)
    assert found == lost
    assert len(kept) == len(modules) - len(lost)


@pytest.mark.parametrize("hidden_size", [16, 384, 768, 1024])
def test_the_library_computes_our_bottleneck_size(hidden_size):
    for size in range(1, hidden_size + 1):
        assert int(hidden_size // reduction_factor(hidden_size, size)) == size


def test_a_family_whose_names_are_not_known_is_refused(train_trial):
    trial, _ = train_trial(Configuration((lora(2, (0,)),), {"learning_rate": 0.05}), "gpt2")
    with pytest.raises(UnsupportedError, match=r"is written for bert, roberta, .* \(got 'gpt2'\)"):
        plan(trial)


def test_head_alone_is_refused(train_trial):
    trial, _ = train_trial(Configuration((), {"learning_rate": 0.05}))
    with pytest.raises(UnsupportedError, match="can express nothing of trial 5: head only"):
        plan(trial)
