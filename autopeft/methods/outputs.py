"""What modules of transformers models return: a tensor, or a tuple whose first entry is the hidden states."""

from typing import Any

from torch import Tensor


def first_tensor(value: Any) -> Tensor:
    """Return the hidden states of what a module takes or returns."""
    return value[0] if isinstance(value, tuple | list) else value  # type: ignore[no-any-return]


def with_first(output: Any, hidden: Tensor) -> Any:
    """Return an output with other hidden states."""
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden
