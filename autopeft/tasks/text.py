"""Texts as token ids, and as padded batches."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autopeft.errors import InvalidInputError
from autopeft.tasks.encoded import Encoded

if TYPE_CHECKING:
    from torch import Tensor

    from autopeft.tasks.table import Table

Row = dict[str, list[int]]
LENGTH_STEP = 8
"""Batches are a multiple of so many positions long, short ones of an eighth of the power of two below their length: tensors of few sizes
leave few gaps in freed memory, a quarter of the peak, and no more than an eighth of a batch is padding for that."""

FAR, ENOUGH = 2, 64
"""A text of a pair keeps so many times the tokens that both may have, and some more: where it is cut, a word may fall apart differently."""


def require_room(tokenizer: Any, max_length: int, n_texts: int) -> None:
    """Check that special tokens leave room for a text, or a pair: where they don't, fast tokenizers cut nothing.

    Raises:
        InvalidInputError: They don't.
    """
    n_special = tokenizer.num_special_tokens_to_add(pair=n_texts == 2)
    if max_length <= n_special:
        remedy = f"Give --max-length {n_special + 1} or more."
        raise InvalidInputError("texts need a token beside the special ones", value=f"{max_length} tokens", remedy=remedy)


def tokenise(tokenizer: Any, columns: Sequence[Sequence[str]], max_length: int) -> tuple[list[Row], NDArray[np.int64]]:
    """Return n texts, or pairs of texts, as the tokenizer's fields, and how many tokens each has before it is cut.

    A text without any token becomes one padding token: a model can't take a row of none.

    Raises:
        InvalidInputError: There is no room for any.
    """
    require_room(tokenizer, max_length, len(columns))
    fields = tokenizer(*without_far_ends(tokenizer, columns, max_length), truncation=True, max_length=max_length)
    names = [name for name in fields if name in tokenizer.model_input_names]
    rows = [{name: list(fields[name][i]) for name in names} for i in range(len(columns[0]))]
    for row in rows:
        fill_up(tokenizer, row)
    return rows, whole_lengths(lengths(rows), max_length, lambda full: tokenizer(*([column[i] for i in full] for column in columns)))


def whole_lengths(cut: NDArray[np.int64], max_length: int, tokenised: Callable[[Sequence[int]], Any]) -> NDArray[np.int64]:
    """Return how many tokens texts have before they are cut.

    Args:
        cut: How many they have then.
        max_length: How many they can have then: only of those that have as many it isn't clear whether something is missing.
        tokenised: Returns the tokenizer's fields of texts by number, not cut.
    """
    full = np.flatnonzero(cut >= max_length).tolist()
    found = cut.copy()
    if full:
        found[full] = [len(ids) for ids in tokenised(full)["input_ids"]]
    return found


def fill_up(tokenizer: Any, row: Row) -> bool:
    """Put one padding token into a row of none, and return whether there was none."""
    if row["input_ids"]:
        return False
    row.update({name: [1 if name == "attention_mask" else 0] for name in row} | {"input_ids": [int(tokenizer.pad_token_id)]})
    return True


def without_far_ends(tokenizer: Any, columns: Sequence[Sequence[str]], max_length: int) -> list[list[str]]:
    """Return texts, or pairs of texts, without what lies far beyond where they will be cut.

    A fast tokenizer makes every combination of the pieces that it cuts both texts of a pair into: two texts of 700 words, cut to two
    tokens, took a gigabyte.
    """
    if len(columns) == 1 or not tokenizer.is_fast:
        return [list(column) for column in columns]
    kept = FAR * max_length + ENOUGH
    pairs = (
        _without_far_ends(tokenizer, pair, kept) if any(len(text) > kept for text in pair) else pair for pair in zip(*columns, strict=True)
    )
    return [list(column) for column in zip(*pairs, strict=True)]


def _without_far_ends(tokenizer: Any, texts: Sequence[str], n_kept: int) -> list[str]:
    """Return the texts of a pair with so many tokens at most, of the side that is kept; the longer with one more, so that it stays that."""
    spans = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    fewest = min(map(len, spans))
    found = []
    for text, places in zip(texts, spans, strict=True):
        n = n_kept + (len(places) > fewest)
        if len(places) > n:
            text = text[places[-n][0] :] if tokenizer.truncation_side == "left" else text[: places[n - 1][1]]
        found.append(text)
    return found


def lengths(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
    """Return tokens per row."""
    return np.array([len(row["input_ids"]) for row in rows], dtype=np.int64)


def padded_lengths(encoded: Encoded) -> NDArray[np.int64]:
    """Return the positions of each row in a batch where none is longer: rounded up (see `LENGTH_STEP`), but never more than any row has."""
    return _rounded_up(encoded.lengths).clip(max=encoded.longest)


def padded_length(encoded: Encoded, indices: Sequence[int]) -> int:
    """Return the positions of a batch: those of its longest row."""
    return min(int(_rounded_up(encoded.lengths[list(indices)].max())), encoded.longest)


def _rounded_up(n_positions: NDArray[np.int64]) -> NDArray[np.int64]:
    steps = np.left_shift(1, np.log2(np.maximum(n_positions, 1)).astype(np.int64)) // LENGTH_STEP
    rounded: NDArray[np.int64] = n_positions + -n_positions % steps.clip(1, LENGTH_STEP)
    return rounded


def padded(tokenizer: Any, rows: Sequence[Mapping[str, Sequence[int]]], n_positions: int, side: str = "right") -> "dict[str, Tensor]":
    """Return rows as tensors of rows x positions, padded on one side."""
    import torch

    padding = {"input_ids": int(tokenizer.pad_token_id), "token_type_ids": int(getattr(tokenizer, "pad_token_type_id", 0))}
    found = {}
    for name in rows[0]:
        filled = [[padding.get(name, 0)] * (n_positions - len(row[name])) for row in rows]
        both = zip(rows, filled, strict=True)
        found[name] = torch.tensor([[*fill, *row[name]] if side == "left" else [*row[name], *fill] for row, fill in both])
    return found


def text_batch(encoded: Encoded, indices: Sequence[int], leave_out: Sequence[str] = (), side: str = "right") -> "dict[str, Tensor]":
    """Return some rows of texts, without some of their fields, as the model's arguments."""
    rows = [{name: field for name, field in encoded.rows[index].items() if name not in leave_out} for index in indices]
    return padded(encoded.processor, rows, padded_length(encoded, indices), side)


def find_texts(table: "Table", given: Sequence[str], taken: str | None, usual: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the text columns of a table: those given, else the first usual ones that are there, else the only column that isn't taken."""
    if given:
        return tuple(given)
    others = [name for name in table.columns if name != taken]
    found = next((names for names in usual if set(names) <= set(others)), ())
    return found or (tuple(others) if len(others) == 1 else ())
