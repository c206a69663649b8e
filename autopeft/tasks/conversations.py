"""Columns that hold conversations: lists of messages, as OpenAI's chat format has them or as ShareGPT's."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autopeft.errors import InvalidInputError
from autopeft.tasks.columns import is_sequence
from autopeft.tasks.prompts import ASSISTANT

if TYPE_CHECKING:
    from autopeft.tasks.table import Table

CONVERSATIONS = ("messages", "conversations")
"""Usual names of such a column."""
_KEYS = (("role", "content"), ("from", "value"))
"""Who speaks and what, in each form."""
_SHAREGPT_ROLES = {"human": "user", "gpt": ASSISTANT, "chatgpt": ASSISTANT}


def messages_of(table: "Table", column: str, row: int) -> list[dict[str, str]]:
    """Return a cell's messages.

    Raises:
        InvalidInputError: It holds something else.
    """
    cell: Any = table.column(column)[row]
    rule = f'{table.where(row)}: the column {column!r} must hold a list of messages such as {{"role": "user", "content": "..."}}'
    if not is_sequence(cell) or not cell:
        raise InvalidInputError(rule, value=cell)
    return [_turn(turn, rule) for turn in cell]


def _turn(turn: Any, rule: str) -> dict[str, str]:
    """Return a message as chat templates take it, whichever of the two forms it has.

    Raises:
        InvalidInputError: It has neither.
    """
    for who, what in _KEYS:
        if isinstance(turn, Mapping) and all(isinstance(turn.get(key), str) for key in (who, what)):
            return {"role": _SHAREGPT_ROLES.get(turn[who], turn[who]), "content": turn[what]}
    raise InvalidInputError(rule, value=turn)


def conversation_of(table: "Table", column: str, row: int) -> list[dict[str, str]]:
    """Return a cell's messages, the last of which must be an answer."""
    turns = messages_of(table, column, row)
    if turns[-1]["role"] != ASSISTANT or not turns[-1]["content"].strip():
        raise InvalidInputError(
            f"{table.where(row)}: a conversation must end with an answer of the {ASSISTANT}", value=turns[-1], remedy="Cut it there."
        )
    return turns
