"""What to know of a task's data before anything is trained on it."""

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from autopeft.budget import Budget
from autopeft.tasks.columns import MOST_SHOWN
from autopeft.tasks.families import family_of
from autopeft.tasks.metrics import bounds
from autopeft.tasks.task import Split, TaskData, hashable
from autopeft.words import plural

SMALL_VALIDATION = 200
"""Below so many validation examples, how far a score can be off is said."""
SHOWN_LABELS = 5
LARGE_SHARE = 0.9
"""Where one answer has so large a share, accuracy says little."""


def findings(data: TaskData, budget: Budget) -> list[str]:
    """Return, in sentences, what kind of task it is and what may be wrong with its examples.

    Args:
        data: The task with its examples.
        budget: What a trial spends.
    """
    roles = {"train": data.train, "validation": data.validation} | ({"test": data.test} if data.test is not None else {})
    family = family_of(data.task)
    found = [f"{data.task.kind}: {family.summarise(data.train)}"]
    found += _near_names(data.task.labels)
    found += [
        f"warning: {role} has examples of a single answer, so that most metrics say nothing"
        for role, split in roles.items()
        if is_constant(split)
    ]
    found += [line for role, split in roles.items() if (line := _lacking(data.task.labels, role, split))]
    found += _repeated(roles)
    found += [
        f"warning: {n:,} of {len(split):,} {role} examples have an empty {column}"
        for role, split in roles.items()
        for column, cells in zip(data.task.input_columns, split.inputs, strict=False)
        if (n := sum(isinstance(cell, str) and not cell.strip() for cell in cells)) and n < len(split)
    ]
    n_measured = min(len(data.validation), budget.evaluation_examples or len(data.validation))
    if n_measured < SMALL_VALIDATION and bounds(data.task.metric) == (0.0, 1.0):
        error = math.sqrt(0.25 / n_measured)
        found.append(
            f"a share measured on {plural(n_measured, 'validation example')}, such as accuracy, has a standard error of up to {error:.3f}"
        )
    for name, asked, split in (
        ("training", budget.train_examples, data.train),
        ("validation", budget.evaluation_examples, data.validation),
    ):
        if asked is not None and asked > len(split):
            found.append(f"a trial uses all {plural(len(split), f'{name} example')}, {asked:,} were asked for")
    return found


def _near_names(labels: Sequence[str]) -> list[str]:
    """Say which labels differ in case and spaces alone, and which look the same: written in other characters, or with invisible ones."""
    found = [f"differ in case or spaces alone are different ones: {_listed(group, repr)}" for group in _groups(labels, _folded)]
    alike = [group for group in _groups(labels, _as_seen) if len(set(map(_folded, group))) > 1]
    return [
        f"warning: labels that {one}" for one in [*found, *(f"look alike are different ones: {_listed(group, ascii)}" for group in alike)]
    ]


def _groups(labels: Sequence[str], key: Callable[[str], str]) -> list[list[str]]:
    """Return those that have a key in common."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(key(label), []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def _listed(labels: Sequence[str], show: Callable[[str], str]) -> str:
    return ", ".join(show(label[:MOST_SHOWN]) for label in labels)


def _folded(label: str) -> str:
    return " ".join(label.split()).casefold()


def _as_seen(label: str) -> str:
    return _folded("".join(letter for letter in unicodedata.normalize("NFKC", label) if unicodedata.category(letter) != "Cf"))


def _lacking(labels: Sequence[str], role: str, split: Split) -> str:
    """Say which labels no example of a split has; empty where all have one, or answers are no single labels."""
    if not labels or not len(split) or not isinstance(split.targets[0], int | np.integer):
        return ""
    present = set(map(int, split.targets))
    missing = [label for index, label in enumerate(labels) if index not in present]
    names = _listed(missing[:SHOWN_LABELS], repr) + (", ..." if len(missing) > SHOWN_LABELS else "")
    how_many = f"{len(missing):,} of {len(labels):,} labels {'has' if len(missing) == 1 else 'have'}"
    return f"warning: {how_many} no {role} example: {names}" if missing else ""


def is_constant(split: Split) -> bool:
    """Return whether all of several examples have the same answer."""
    return len(split) > 1 and len({hashable(target) for target in split.targets}) == 1


def _repeated(roles: dict[str, Split]) -> list[str]:
    """Say how many examples stand in a split twice, or in two of them."""
    seen = {role: Counter(split.keys()) for role, split in roles.items()}
    found = []
    for role, counts in seen.items():
        n = counts.total() - len(counts)
        # Where there is no input, such as for texts that are learnt as they are, all would be equal.
        if n and len(counts) > 1:
            found.append(f"{n:,} of {counts.total():,} {role} examples have the same input as another one")
    names = list(seen)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            n = sum(seen[other][key] for key in seen[one].keys() & seen[other].keys())
            if n and len(seen[other]) > 1:
                found.append(
                    f"warning: {n:,} of {len(roles[other]):,} {other} examples stand in {one} too, so that scores on them are too good"
                )
    return found
