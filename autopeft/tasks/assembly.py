"""Makes a task's data out of its tables, and cuts from the training data the splits that have none."""

from collections.abc import Mapping

import numpy as np

from autopeft.errors import InvalidInputError
from autopeft.tasks.entry import Role
from autopeft.tasks.families import family_of
from autopeft.tasks.table import Table
from autopeft.tasks.task import Split, Task, TaskData

CUT_FRACTION = 0.1
"""Share of the training data that serves as a missing split."""
CUT_LIMIT = 5000
"""Largest split that is cut: it gives accuracy a standard error below 0.7 points, and more would only cost time."""
CUT_SEED = 0
"""A cut belongs to the data: it must not move with the seed of a search."""
# The test data is cut first, so that it stays the same when a validation split is added later.
_HELD_OUT = ("test", "validation")


def assemble(
    task: Task,
    train: Table,
    held_out: Mapping[Role, Table],
    *,
    ids: Mapping[str, int],
    why_missing: Mapping[Role, str],
    with_test: bool,
) -> TaskData:
    """Read and check every split, and cut the missing ones from the training data by a fixed seed.

    Args:
        task: What the columns mean.
        train: The training rows.
        held_out: The rows of "validation" and of "test". A role that is missing is cut from the training data, and the test data
            also without `with_test`, so that both leave the same training data.
        ids: The id of each accepted spelling of a label.
        why_missing: For every role that may be missing, why; a clause for the notes.
        with_test: Whether to return the test split. It is checked either way: better now than after the search.

    Raises:
        InvalidInputError: A cell is none that the task can use, or too few rows or different labels are left for training.
    """
    family = family_of(task)
    missing = [role for role in _HELD_OUT if role not in held_out]
    rest, cuts = _cut(family.read(train, ids), missing, train.source)
    family.require_trainable(rest, train.source)
    splits = cuts | {role: family.read(table, ids) for role, table in held_out.items()}
    notes = [f"train: {len(rest):,} examples of {train.source}"]
    notes += [f"{role}: {held_out[role].source}" for role in _HELD_OUT if role not in cuts]
    notes += [
        f"{role}: {why_missing[role]}, so {len(cut):,} examples cut from the training data by seed {CUT_SEED} serve"
        for role, cut in cuts.items()
    ]
    return TaskData(task, rest, splits["validation"], splits["test"] if with_test else None, tuple(notes))


def _cut(whole: Split, roles: list[Role], source: str) -> tuple[Split, dict[Role, Split]]:
    """Return what is left of a split, in its order, and one cut of it per role."""
    size = min(max(1, int(len(whole) * CUT_FRACTION)), CUT_LIMIT)
    needed = 2 + len(roles)
    if len(whole) < needed:
        remedy = f"One row each is cut for {' and '.join(roles)}." if roles else "Add examples."
        raise InvalidInputError(f"{source} must have at least {needed} rows", value=len(whole), remedy=remedy)
    # RandomState's stream never changes, that of the newer generators is not.
    order = np.random.RandomState(CUT_SEED).permutation(len(whole))
    cuts = {role: whole.take(order[index * size : (index + 1) * size]) for index, role in enumerate(roles)}
    return whole.take(np.sort(order[len(roles) * size :])), cuts
