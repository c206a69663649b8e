"""Prompts and completions in a table: which columns hold them, and what stands there.

A column that is learnt as a whole, of texts or of conversations whose answers are learnt, is a target too, by a name that no column has.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from autopeft.tasks.columns import filled_texts, is_sequence, require_no_written_lists, texts
from autopeft.tasks.conversations import CONVERSATIONS, conversation_of, messages_of
from autopeft.tasks.family import Columns
from autopeft.tasks.prompts import ASSISTANT

if TYPE_CHECKING:
    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split

UNKNOWN = "?"
"""Stands for a completion that isn't known."""
_PAIRS = (
    (("prompt",), "completion"),
    (("instruction", "input"), "output"),
    (("instruction",), "output"),
    (("instruction", "context"), "response"),
    (("instruction",), "response"),
    (("prompt",), "response"),
)


def learnt(column: str) -> str:
    """Return the target's name where a column is read and learnt."""
    return f"{column}, learnt"


def is_learnt_whole(inputs: Sequence[str], target: str | None) -> bool:
    """Return whether the column that is read is what is learnt."""
    return target == learnt(inputs[0])


def find_columns(table: "Table", given: Columns) -> Columns | None:
    """Return what is given; else messages, usual pairs, or one column of text; None where there are none."""
    if given.inputs or given.target:
        if given.target is None and len(given.inputs) == 1:  # the text itself is to be learnt, or a conversation
            return Columns(given.inputs, learnt(given.inputs[0]))
        return Columns(given.inputs, given.target) if given.inputs and given.target else None
    for name in CONVERSATIONS:
        if name in table.columns:
            return Columns((name,), learnt(name))
    for inputs, target in _PAIRS:
        if {*inputs, target} <= set(table.columns):
            return Columns(inputs, target)
    return Columns(("text",), learnt("text")) if set(table.columns) == {"text"} else None


def are_usual(table: "Table", columns: Columns) -> bool:
    """Return whether columns say by their names that a text is to be continued; only lists are conversations.

    Raises:
        InvalidInputError: Conversations were written as text.
    """
    if is_learnt_whole(columns.inputs, columns.target):
        if columns.inputs[0] not in CONVERSATIONS:
            return set(table.columns) == {"text"}
        require_no_written_lists(table, columns.inputs[0])
        return any(map(is_sequence, table.column(columns.inputs[0])))
    return (columns.inputs, columns.target) in _PAIRS


def read(table: "Table", inputs: Sequence[str], target: str) -> "Split":
    """Return prompts, which are texts or lists of messages, and completions, which are texts.

    Raises:
        InvalidInputError: A cell is none, or a completion is empty; names the place.
    """
    from autopeft.tasks.task import Split

    (first, *more) = inputs
    if is_learnt_whole(inputs, target):
        cells = table.column(first)
        if any(map(is_sequence, cells)):
            conversations = [conversation_of(table, first, row) for row in range(len(table))]
            return Split(([turns[:-1] for turns in conversations],), [turns[-1]["content"] for turns in conversations])
        require_no_written_lists(table, first)
        return Split(([""] * len(table),), filled_texts(table, first))
    completions = filled_texts(table, target)
    if not more and any(map(is_sequence, table.column(first))):
        return Split(([messages_of(table, first, row) for row in range(len(table))],), completions)
    columns = [_optional_texts(table, column) if place else texts(table, column) for place, column in enumerate(inputs)]
    return Split(tuple(columns), completions)


def read_openings(table: "Table", column: str) -> "Split":
    """Return what is to be continued, of a column that is learnt as a whole: a conversation to its last turn, or a text.

    Raises:
        InvalidInputError: As in `read`.
    """
    from autopeft.tasks.task import Split

    cells = table.column(column)
    if not is_sequence(cells[0]):
        return Split((texts(table, column),), [UNKNOWN] * len(table))
    answer = {"role": ASSISTANT, "content": UNKNOWN}
    answered: list[Any] = [[*turns, answer] if is_sequence(turns) else turns for turns in cells]  # type: ignore[misc]
    return read(replace(table, columns={**table.columns, column: answered}), (column,), learnt(column))


def _optional_texts(table: "Table", column: str) -> list[str]:
    """Return a column of texts that may be empty."""
    cells = table.column(column)
    return (
        texts(table, column) if all(isinstance(cell, str) for cell in cells) else [cell if isinstance(cell, str) else "" for cell in cells]
    )
