"""Draws the pairs of the demo task."""

from collections.abc import Callable, Mapping

from autopeft.budget import Budget
from autopeft.tasks.demo.rewrites import REWRITES, Dice, Pair
from autopeft.tasks.entry import Entry, Role
from autopeft.tasks.table import Table
from autopeft.tasks.task import Task

SIZES: Mapping[Role, int] = {"train": 800, "validation": 400, "test": 600}
_SEED = 0


def generate() -> Mapping[Role, Table]:
    """Return the splits: half of each means the same, no two pairs are alike, and every call gives the same."""
    dice, seen = Dice(_SEED), set[frozenset[str]]()
    rewrites = [rewrite for rewrite, share in REWRITES for _ in range(share)]
    tables = {}
    for role, size in SIZES.items():
        rows = []
        for number in dice.shuffled(range(size)):
            # Consecutive numbers share a rewrite and differ in the label: every rewrite is as often right as wrong.
            turn, label = divmod(number, 2)
            rows.append((*_new_pair(dice, rewrites[turn % len(rewrites)], label == 1, seen), label))
        first, second, labels = (list(column) for column in zip(*rows, strict=True))
        columns = {"sentence1": first, "sentence2": second, "label": labels}
        tables[role] = Table(f"the built-in demo data, split {role}", columns, range(1, size + 1))
    return tables


def _new_pair(dice: Dice, rewrite: Callable[[Dice, bool], Pair], same: bool, seen: set[frozenset[str]]) -> Pair:
    """Draw until the two sentences differ and are new as a pair, whichever comes first."""
    while True:
        first, second = (sentence[0].upper() + sentence[1:] + "." for sentence in rewrite(dice, same))
        pair = frozenset((first, second))
        if len(pair) == 2 and pair not in seen:
            seen.add(pair)
            return first, second


# At this budget a trial takes a quarter to half a minute on one slow core, by the layers that have modules, and configurations have
# parted: see `rewrites.REWRITES`.
DEMO = Entry(
    Task(
        name="demo",
        kind="classification",
        input_columns=("sentence1", "sentence2"),
        target_column="label",
        labels=("different", "same"),
        metric="accuracy",
        metrics=("accuracy", "f1", "average_precision", "loss"),
        low_cost=Budget(train_examples=500, epochs=2, evaluation_examples=400, batch_size=8, max_length=64),
    ),
    generate=generate,
)
"""The registered task."""
