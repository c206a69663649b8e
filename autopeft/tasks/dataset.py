"""A task from any data set of the hub: columns of usual names or those that are given, splits of usual names or those that are given."""

import re
from collections.abc import Sequence

from autopeft.errors import InvalidInputError, UnavailableError
from autopeft.tasks.assembly import assemble, without_hidden
from autopeft.tasks.entry import ROLES, HubDataset, Role
from autopeft.tasks.family import Columns
from autopeft.tasks.files import find_family
from autopeft.tasks.hub_tables import load_dataset_tables
from autopeft.tasks.task import TaskData

_REFERENCE = re.compile(r"([\w.-]+(?:/[\w.-]+)?)(?::([^:\s]+))?")


def load_dataset(
    dataset: str,
    *,
    splits: Sequence[str] = (),
    text: str | Sequence[str] = (),
    label: str | None = None,
    kind: str | None = None,
    language: str | None = None,
    offline: bool = False,
    with_test: bool = False,
) -> TaskData:
    """Load a data set of the hub as a task.

    Args:
        dataset: Owner and name, and its configuration where it has several: "openai/gsm8k:main".
        splits: Which split serves which role where names aren't the usual ones, or a part of it: "validation=dev", "train=train[:9000]".
        text: The columns that are read. Empty: those of the usual names.
        label: The column to predict. None: one of the usual names.
        kind: What kind of task it is, one of `family_names()`. None: inferred from columns and labels.
        language: Code of the language, such as "de", where a model must know it.
        offline: Whether to leave the network alone; HF_HUB_OFFLINE=1 does the same.
        with_test: Whether to return the test data. The training data is the same either way.

    Raises:
        InvalidInputError: The reference is none, a split or column is missing, or a cell is none that the task can use.
        UnknownNameError: There is no such kind.
        UnavailableError: It is neither cached nor can the hub be reached; known within five seconds.
    """
    name, configuration = _parse(dataset)
    hub = HubDataset(name, configuration, _roles(splits), is_described=False)
    try:
        tables = dict(load_dataset_tables(hub, offline))
    except UnavailableError as error:
        remedy = "Check its name, run where the hub can be reached, or download it and give its files: --train FILE."
        raise UnavailableError(f"there are no examples: {error.rule}", remedy=remedy) from error
    train = tables.pop("train")
    given = Columns((text,) if isinstance(text, str) else tuple(text), label)
    for column in (*given.inputs, *([label] if label else [])):
        train.column(column)
    family, columns = find_family(train, given, kind)
    task = family.make_task(train, task_name(dataset), columns)
    if language:
        task = family.in_language(task, language)
    held_out, why_missing = without_hidden(train, tables, task.target_column)
    ids = {label_name: index for index, label_name in enumerate(task.labels)}
    return assemble(task, train, held_out, ids=ids, why_missing=why_missing, with_test=with_test)


def task_name(dataset: str) -> str:
    """Return what a data set's task is called: "gsm8k-main" for "openai/gsm8k:main"."""
    name, configuration = _parse(dataset)
    return "-".join(filter(None, (name.rpartition("/")[2], configuration)))


def _parse(dataset: str) -> tuple[str, str | None]:
    """Return a data set's id and configuration.

    Raises:
        InvalidInputError: It is no reference to a data set.
    """
    found = _REFERENCE.fullmatch(dataset)
    if found is None:
        remedy = "Own files are given with --train FILE."
        raise InvalidInputError("a data set of the hub is named as owner/name or owner/name:configuration", value=dataset, remedy=remedy)
    return found[1], found[2]


def _roles(splits: Sequence[str]) -> dict[Role, str]:
    """Return the split of each role that is named.

    Raises:
        InvalidInputError: An entry is not role=split.
    """
    found: dict[Role, str] = {}
    for entry in splits:
        role, _, name = entry.partition("=")
        if role not in ROLES or not name or role in found:
            raise InvalidInputError(
                f"--splits must name a split for some of {', '.join(ROLES)}, each once, as in validation=dev", value=entry
            )
        found[role] = name
    return found
