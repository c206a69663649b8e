import numpy as np
import pytest

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnsupportedError
from autopeft.loops.transfer import map_layers, transfer
from autopeft.methods.topology import Block, Linear, Topology

LINEARS = (Linear("q", "query", 8, 8, True, False), Linear("v", "value", 8, 8, True, False))


def topology(n_layers: int, linears: tuple[Linear, ...] = LINEARS) -> Topology:
    blocks = tuple(Block(index, "blocks", f"blocks.{index}", 8, (), "", "", linears, ()) for index in range(n_layers))
    return Topology("Tiny", "tiny", "input_ids", "", blocks, (), ())


@pytest.mark.parametrize(
    ("layers", "n_before", "n_after", "expected"),
    [
        ((1, 4), 6, 6, (1, 4)),
        ((0, 5), 6, 12, (0, 1, 10, 11)),
        ((0, 1, 7), 12, 6, (0, 3)),
        ((0, 1, 2), 3, 4, (0, 1, 2, 3)),
        ((1,), 3, 4, (1, 2)),
        ((2,), 4, 3, (1,)),
    ],
)
def test_layers_counted_by_hand(layers: tuple[int, ...], n_before: int, n_after: int, expected: tuple[int, ...]) -> None:
    assert map_layers(layers, n_before, n_after) == expected


@pytest.mark.parametrize("n_before", range(1, 8))
@pytest.mark.parametrize("n_after", range(1, 14))
def test_nothing_is_lost_and_depth_is_kept(n_before: int, n_after: int) -> None:
    for layer in range(n_before):
        found = np.array(map_layers((layer,), n_before, n_after))
        assert len(found) >= 1
        assert abs((found.mean() + 0.5) / n_after - (layer + 0.5) / n_before) <= 0.5 / min(n_before, n_after) + 1e-9
    assert map_layers(tuple(range(n_before)), n_before, n_after) == tuple(range(n_after))


def test_sizes_targets_and_learning_rate_stay() -> None:
    found = transfer(Configuration((PeftModule("lora", 4, (1,), ("query",)),), {"learning_rate": 0.01}), 2, topology(4))
    assert found == Configuration((PeftModule("lora", 4, (2, 3), ("query",)),), {"learning_rate": 0.01})


def test_a_method_that_the_backbone_cannot_take_is_named() -> None:
    with pytest.raises(UnsupportedError, match="can't be transferred: Tiny cannot take prefix: it has no attention"):
        transfer(Configuration((PeftModule("prefix", 4, (0,)),)), 2, topology(2))
    with pytest.raises(UnsupportedError, match="no linear in the role query"):
        transfer(Configuration((PeftModule("lora", 4, (0,), ("query",)),)), 2, topology(2, linears=LINEARS[1:]))
