import math

import pytest
import torch

from autopeft.errors import InvalidInputError
from autopeft.training.tree import pack_tree, unpack_tree


def test_what_is_packed_comes_back() -> None:
    shared = torch.randn(3, 2)
    tree = {
        "state": {0: {"step": torch.tensor(3.0), "moment": shared.to(torch.bfloat16)}, 5: {"a": shared, "b": shared, "rows": shared.T}},
        "groups": [{"betas": (0.9, 0.999), "lr": 0.1 + 0.2, "fused": None, "amsgrad": False, "name": "é\n", "large": 2**70}],
        "empty": [{}, [], (), torch.zeros(0)],
        "tensor": {"tensor": 1},
    }
    found = unpack_tree(pack_tree(tree))
    assert found["groups"] == tree["groups"]
    assert type(found["groups"][0]["betas"]) is tuple
    assert list(found["state"]) == [0, 5]
    assert found["tensor"] == {"tensor": 1}
    assert found["empty"][:3] == [{}, [], ()]
    for before, after in zip(tree["state"][5].values(), found["state"][5].values(), strict=True):
        assert torch.equal(before, after)
    assert found["state"][0]["moment"].dtype == torch.bfloat16
    assert math.isnan(unpack_tree(pack_tree({"loss": math.nan}))["loss"])


def test_what_could_not_come_back_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"must be made of tensors.*got 'set'"):
        pack_tree({"seen": {1, 2}})
