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
_SHAREGPT_ROLES = {"human": "user", "gpt": ASSISTANT, "chatgpt": ASSISTANT, "bing": ASSISTANT, "bard": ASSISTANT}
_ROLES = {"system", "developer", "user", ASSISTANT, "tool"}
"""Roles that most templates know; others pass if they are spelled otherwise, for a template may have its own."""


def messages_of(table: "Table", column: str, row: int) -> list[dict[str, str]]:
    """Return a cell's messages.

    Raises:
        InvalidInputError: It holds something else.
    """
    cell: Any = table.column(column)[row]
    where = table.where(row)
    rule = f'{where}: the column {column!r} must hold a list of messages such as {{"role": "user", "content": "..."}}'
    if not is_sequence(cell) or not cell:
        raise InvalidInputError(rule, value=cell)
    return [_turn(turn, where, rule) for turn in cell]


def _turn(turn: Any, where: str, rule: str) -> dict[str, str]:
    """Return a message as chat templates take it, whichever of the two forms it has.

    Raises:
        InvalidInputError: It has neither, or nobody known speaks.
    """
    for who, what in _KEYS:
        if isinstance(turn, Mapping) and all(isinstance(turn.get(key), str) for key in (who, what)):
            said: str = turn[who]
            role = _SHAREGPT_ROLES.get(said, said)
            if not role.strip() or (role not in _ROLES and role.strip().lower() in _ROLES):
                raise InvalidInputError(f"{where}: a message's {who} must be one such as {', '.join(sorted(_ROLES))}", value=said)
            return {"role": role, "content": turn[what]}
    raise InvalidInputError(rule, value=turn)


def conversation_of(table: "Table", column: str, row: int) -> list[dict[str, str]]:
    """Return a cell's messages, the last of which must be an answer."""
    turns = messages_of(table, column, row)
    if turns[-1]["role"] != ASSISTANT or not turns[-1]["content"].strip():
        raise InvalidInputError(
            f"{table.where(row)}: a conversation must end with an answer of the {ASSISTANT}", value=turns[-1], remedy="Cut it there."
        )
    return turns
