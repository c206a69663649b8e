import pickle

import pytest

from autopeft.errors import AutopeftError, InvalidInputError, UnavailableError, UnknownNameError, near_names


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (AutopeftError("a rule"), "a rule."),
        (InvalidInputError("sizes must be positive", value=-1), "sizes must be positive (got -1)."),
        (InvalidInputError("no value here", value=None), "no value here (got None)."),
        (UnavailableError("the hub is away", remedy="Use a folder."), "the hub is away. Use a folder."),
        (InvalidInputError("what comes from below ends already."), "what comes from below ends already."),
        (InvalidInputError("no such label", value=10**400), f"no such label (got 1{'0' * 249}... of 401 characters)."),
        (InvalidInputError("no such label", value=10**5000), "no such label (got a number too long to write)."),
    ],
    ids=["rule", "value", "none is a value", "remedy", "no second full stop", "long", "too long for Python"],
)
def test_text_states_rule_value_and_remedy(error: AutopeftError, text: str) -> None:
    assert str(error) == text


def test_unknown_name_tells_the_nearest() -> None:
    error = UnknownNameError("task", "mprc", ["sst2", "mrpc"])
    assert "Did you mean 'mrpc'?" in str(error)
    assert str(UnknownNameError("task", "zzzzz", ["sst2", "mrpc"])).endswith("Known: mrpc, sst2.")


@pytest.mark.parametrize(
    "error", [UnknownNameError("task", "x", ["y"]), UnavailableError("a", value=3, remedy="b"), InvalidInputError("c")]
)
def test_errors_cross_processes(error: AutopeftError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)


def test_builtin_bases_and_exit_codes() -> None:
    assert issubclass(InvalidInputError, ValueError)
    assert issubclass(UnavailableError, OSError)
    assert (InvalidInputError.exit_code, UnavailableError.exit_code, AutopeftError.exit_code) == (2, 3, 1)


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("trec", ["rte", "mrpc", "stsb"], []),
        ("summarization", ["classification", "regression"], []),
        ("mrcp", ["rte", "mrpc"], ["mrpc"]),
        ("lroa", ["lora", "bitfit"], ["lora"]),
        ("pgn", ["html", "png"], ["png"]),
        ("adapter", ["lora", "serial_adapter", "parallel_adapter"], ["serial_adapter", "parallel_adapter"]),
    ],
)
def test_only_near_spellings_are_proposed(name: str, known: list[str], near: list[str]) -> None:
    assert near_names(name, known) == near
    message = str(UnknownNameError("thing", name, known))
    assert ("Did you mean" in message) == bool(near)
    assert near or f"Known: {', '.join(sorted(known))}" in message
