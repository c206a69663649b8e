import subprocess
import sys
from dataclasses import replace

import pytest

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnsupportedError
from autopeft.methods.compose import apply
from autopeft.methods.counting import ParameterCounter, count_parameters, resolve
from autopeft.methods.registry import all_methods, get_method

from .families import FAMILIES, subject

COUNT = """
import sys
from autopeft.configuration import Configuration
from autopeft.methods.counting import count_parameters
from autopeft.methods.topology import Topology
configuration, topology = sys.stdin.read().split("\\n", 1)
print(count_parameters(Configuration.from_json(configuration), Topology.from_json(topology)), "torch" in sys.modules)
"""


def test_a_process_without_torch_counts_the_same() -> None:
    topology = subject("bert").topology
    configuration = Configuration(
        (PeftModule("serial_adapter", 5, (0, 2)), PeftModule("prefix", 4, (1,)), PeftModule("lora", 3, (0,)), PeftModule("bitfit", 1, (2,)))
    )
    text = f"{configuration.to_json()}\n{topology.to_json()}"
    printed = subprocess.run([sys.executable, "-c", COUNT], input=text, capture_output=True, text=True, check=True).stdout
    assert printed.split() == [str(count_parameters(configuration, topology)), "False"]


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (PeftModule("serial_adapter", 5, (0, 2)), 2 * (2 * 32 * 5 + 5 + 32)),
        (PeftModule("prefix", 4, (1,)), 4 * 4 * (8 + 8)),
        (PeftModule("lora", 3, (0, 1, 2)), 3 * 2 * 3 * (32 + 32)),
        (PeftModule("bitfit", 1, (0,)), 4 * 32 + 32 + 48 + 32 + 32),
        (PeftModule("norm_tuning", 1, (0,)), 4 * 32),
        (PeftModule("prompt_tuning", 6), 6 * 32),
        (PeftModule("lofit", 1, (0, 1)), 2 * 32),
    ],
    ids=lambda value: value.method if isinstance(value, PeftModule) else "",
)
def test_counts_that_were_worked_out_by_hand(module: PeftModule, expected: int) -> None:
    assert count_parameters(Configuration((module,)), subject("bert").topology) == expected


def test_what_two_masks_share_is_counted_once() -> None:
    topology = subject("bert").topology
    both = Configuration((PeftModule("bitfit", 1, (0,)), PeftModule("norm_tuning", 1, (0,))))
    norm_weights = 2 * 32
    assert count_parameters(both, topology) == count_parameters(Configuration(both.modules[:1]), topology) + norm_weights


def test_full_fine_tuning_is_everything_but_the_head() -> None:
    topology = subject("bert").topology
    assert count_parameters(Configuration((PeftModule("full_fine_tuning", 1),)), topology) == topology.size - topology.head_size


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (PeftModule("oft", 5, (0,)), "of size 5: the size must divide the width 32"),
        (PeftModule("compacter", 6, (0,)), "the number of terms, 4, must divide 6"),
        (PeftModule("loreft", 64, (0,)), "at most the hidden size, 32"),
        (PeftModule("gralora", 3, (0,)), "of size 3: 2 must divide it"),
        (PeftModule("psoft", 33, (0,)), "at most the smaller width of .*, 32"),
        (PeftModule("last_layers", 4), "it has 3 layers"),
        (PeftModule("prefix", 4, (0,), options={"mlp_width": -1}), "width is 0 or more"),
    ],
)
def test_a_size_that_does_not_fit_is_refused(module: PeftModule, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        count_parameters(Configuration((module,)), subject("bert").topology)


@pytest.mark.parametrize("name", [method.name for method in all_methods() if method.alone])
def test_what_cannot_share_a_linear_is_refused_before_anything_is_built(name: str) -> None:
    topology = subject("bert").topology
    for other in all_methods():
        if other.kind != "weight" or other.name == name:
            continue
        one, two = (
            PeftModule(method.name, next(size for size in method.sizes if size >= 4 or method.sizes == (1,)), (0, 1), ("value",))
            for method in (get_method(name), other)
        )
        for check in (ParameterCounter(topology), ParameterCounter(topology).resolve, lambda both: resolve(both, topology)):
            with pytest.raises(UnsupportedError, match="takes a linear for itself"):
                check(Configuration((one, two)))
        apart = Configuration((replace(one, layers=(0,)), replace(two, layers=(1,))))
        assert ParameterCounter(topology)(apart) == sum(count_parameters(Configuration((module,)), topology) for module in apart.modules)


def test_whatever_the_closed_form_lets_share_a_linear_is_built() -> None:
    model, topology = FAMILIES["bert"].build(), subject("bert").topology
    lora = PeftModule("lora", 4, (0,), ("value",))
    for method in all_methods():
        if method.kind == "weight" and not method.alone and method.name != "lora":
            size = next(size for size in method.sizes if size >= 4 or method.sizes == (1,))
            apply(model, Configuration((lora, PeftModule(method.name, size, (0,), ("value",)))), topology=topology).eject()
