"""Texts no longer than the backbone can read them."""

from dataclasses import replace

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError
from autopeft.tasks import TaskData
from autopeft.training.measurement import BackboneFacts


def fit_length(budget: Budget, data: TaskData, facts: BackboneFacts, n_taken: int) -> tuple[Budget, TaskData]:
    """Return the budget with texts cut where the backbone's positions end, and the data with a note if they are cut there.

    Args:
        budget: What was asked for.
        data: What it is spent on.
        facts: The backbone.
        n_taken: Positions that modules put in front, at most.

    Raises:
        InvalidInputError: There is no room for a text.
    """
    if facts.n_positions is None or budget.max_length + n_taken <= facts.n_positions:
        return budget, data
    longest = facts.n_positions - n_taken
    read = f"the model reads {facts.n_positions:,} positions" + (f", of which a prompt takes up to {n_taken:,}" if n_taken else "")
    if longest < 1:
        raise InvalidInputError(f"there is no room for a text: {read}", remedy="Take a space with shorter prompts, or another model.")
    note = f"texts are cut after {longest:,} tokens and not {budget.max_length:,}: {read}"
    return replace(budget, max_length=longest), replace(data, notes=(*data.notes, note))
