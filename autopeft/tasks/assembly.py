"""Makes a task's data out of its tables, and cuts from the training data the splits that have none."""

from collections.abc import Mapping

from autopeft.tasks.columns import is_hidden
from autopeft.tasks.cutting import CUT_SEED, cut
from autopeft.tasks.entry import Role
from autopeft.tasks.families import family_of
from autopeft.tasks.table import Table
from autopeft.tasks.task import Task, TaskData
from autopeft.words import plural

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
    whole = family.read(train, ids)
    rest, cuts = cut(whole, family.strata(whole), missing, train.source)
    family.require_trainable(rest, train.source)
    splits = cuts | {role: family.read(table, ids) for role, table in held_out.items()}
    notes = [f"train: {plural(len(rest), 'example')} of {train.source}"]
    notes += [f"{role}: {held_out[role].source}" for role in _HELD_OUT if role not in cuts]
    notes += [
        f"{role}: {why_missing[role]}, so {plural(len(split), 'example')} cut from the training data by seed {CUT_SEED} serve"
        for role, split in cuts.items()
    ]
    notes += [note for table in (train, *held_out.values()) for note in table.notes]
    return TaskData(family.fit(rest), rest, splits["validation"], splits["test"] if with_test else None, tuple(notes))


def without_hidden(train: Table, held_out: Mapping[Role, Table], target: str) -> tuple[dict[Role, Table], dict[Role, str]]:
    """Return the splits whose answers are public, and why there is none for the other roles.

    Args:
        train: The training rows. Where they have no column of answers, such as conversations, none can be hidden.
        held_out: The rows of "validation" and of "test", where there are any.
        target: The column with the answers.
    """
    found, why_missing = {}, {}
    for role in _HELD_OUT:
        if role not in held_out:
            why_missing[role] = f"there is no {role} split"
        elif target in train.columns and is_hidden(held_out[role], target):
            why_missing[role] = f"the public {role} labels are hidden"
        else:
            found[role] = held_out[role]
    return found, why_missing
