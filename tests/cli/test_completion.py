"""What a shell offers for the value of a flag."""

import pytest
from typer.main import get_command

from autopeft.cli.main import app


@pytest.mark.parametrize(
    ("verb", "flag", "begun", "offered"),
    [
        ("search", "task", "st", ["stsb"]),
        ("search", "kind", "reg", ["regression"]),
        ("search", "space", "four", ["four_modules"]),
        ("search", "sampler", "ts", []),
        ("search", "sampler", "t", ["tpe"]),
        ("check", "task", "de", ["demo"]),
        ("check", "kind", "causal", ["causal_lm"]),
        ("suggest", "space", "lo", ["lora", "low-data"]),
        ("export", "to", "m", ["merged"]),
        ("export", "pick", "m", ["max-params="]),
        ("retrain", "pick", "k", ["knee"]),
        ("search", "quantize", "nf", ["nf4"]),
        ("search", "dtype", "b", ["bfloat16"]),
        ("search", "attention", "s", ["sdpa"]),
        ("search", "gradient_checkpointing", "a", ["auto"]),
        ("search", "track", "m", ["mlflow"]),
        ("search", "start", "ma", ["mam"]),
    ],
)
def test_values_that_are_known_are_completed(verb: str, flag: str, begun: str, offered: list[str]) -> None:
    command = get_command(app).commands[verb]  # type: ignore[attr-defined]
    (parameter,) = [parameter for parameter in command.params if parameter.name == flag]
    with command.make_context(verb, ["runs/demo"] if verb in ("export", "retrain") else [], resilient_parsing=True) as context:
        assert [item.value for item in parameter.shell_complete(context, begun)] == offered
