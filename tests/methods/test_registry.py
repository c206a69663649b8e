import subprocess
import sys

import pytest

from autopeft.configuration import PeftModule
from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.methods.method import KINDS
from autopeft.methods.registry import all_methods, get_method, register_method


@pytest.mark.parametrize("method", all_methods(), ids=lambda method: method.name)
def test_every_entry_resolves_and_tells_about_itself(method) -> None:
    assert callable(method.injector)
    assert method.kind in KINDS
    assert method.summary
    assert method.paper
    assert method.needs
    assert method.sizes == (1,) or method.size_name
    assert get_method(method.name) is method


def test_listing_needs_neither_torch_nor_peft() -> None:
    code = (
        "import sys; from autopeft.methods.registry import all_methods; from autopeft.methods.counting import count_parameters; "
        "print(len(all_methods()), sorted({'torch', 'peft', 'transformers'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split(maxsplit=1) == [str(len(all_methods())), "[]\n"]


def test_an_unknown_name_gets_near_matches() -> None:
    with pytest.raises(UnknownNameError, match="'serial_adapter'"):
        get_method("serial_adaptor")


def test_a_name_is_registered_once() -> None:
    with pytest.raises(InvalidInputError, match="only once"):
        register_method(get_method("lora"))


def test_defaults_are_filled_in() -> None:
    complete = get_method("lora").complete(PeftModule("lora", 4, (0,), options={"dora": True, "alpha": 16}))
    assert complete.targets == ("query", "value")
    assert complete.options == {
        "alpha": 16.0,
        "b_rate": 1.0,
        "dora": True,
        "dropout": 0.0,
        "gated": False,
        "pissa": False,
        "rslora": False,
    }


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (PeftModule("lora", 4), "lora needs layers"),
        (PeftModule("lora", 4, (0,), ("queries",)), "unknown target module"),
        (PeftModule("lora", 4, (0,), options={"dorra": True}), "unknown option of lora"),
        (PeftModule("lora", 4, (0,), options={"dora": 1}), "must be of type bool"),
        (PeftModule("serial_adapter", 4, (0,), options={"scale": "big"}), "must be of type float"),
        (PeftModule("serial_adapter", 4, (0,), options={"activation": "step"}), "must be one of relu"),
        (PeftModule("serial_adapter", 4, (0,), ("query",)), "has no target modules"),
    ],
)
def test_what_a_method_does_not_take_is_refused(module: PeftModule, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        get_method(module.method).complete(module)
