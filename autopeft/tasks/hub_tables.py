"""Loads a data set from the Hugging Face hub, or says within seconds that it can't be had: cached copy, question, download."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from autopeft.errors import AutopeftError, InvalidInputError, UnavailableError, in_one_line
from autopeft.hub import is_switched_off, why_unreachable
from autopeft.tasks.entry import ROLES, HubDataset, Role
from autopeft.tasks.hub_columns import columns_of
from autopeft.tasks.nested import with_nested
from autopeft.tasks.reading import require_size
from autopeft.tasks.table import Table

_USUAL_SPLITS: Mapping[Role, Sequence[str]] = {
    "train": ("train", "training", "train_sft"),
    "validation": ("validation", "valid", "val", "dev", "validation_matched", "eval", "evaluation", "test_sft"),
    "test": ("test", "testing", "test_matched"),
}
_PART = re.compile(r"(.+?)(?:\[(\d{0,15}):(\d{0,15})\])?")
"""A split's name, and its first row and the one after the last."""
_CONVERTED = "refs/convert/parquet"
"""Branch in which the hub keeps data sets as Parquet: where one comes with a program, which datasets 4 and later don't run."""


def load_dataset_tables(dataset: HubDataset, offline: bool) -> Mapping[Role, Table]:
    """Return the tables of a data set by role.

    Args:
        dataset: Which data set, and which splits of it.
        offline: Whether only a cached copy will do.

    Raises:
        UnavailableError: The data set is neither cached nor to be had from the hub.
    """
    cached = _load_cached(dataset)
    if not isinstance(cached, str):
        return cached
    if offline or is_switched_off():
        raise UnavailableError(f"{dataset.id} is not in the hub's cache{cached}, and the network is not used when offline")
    if reason := why_unreachable(dataset.id, "dataset"):
        raise UnavailableError(f"{dataset.id} is not in the hub's cache{cached} and can't be reached on the hub: {reason}")
    try:
        return _load(dataset, dataset.id)
    except AutopeftError:
        raise
    except Exception as error:  # datasets lets the errors of half a dozen libraries through
        raise UnavailableError(f"{dataset.id} can't be loaded from the hub: {in_one_line(error)}") from error


def _load_cached(dataset: HubDataset) -> Mapping[Role, Table] | str:
    """Return the tables of a cached copy; else what is wrong with it, as a part of a sentence, empty if there is none.

    Raises:
        InvalidInputError: A split is named that it hasn't, or no data set can have its id.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(dataset.id, repo_type="dataset", local_files_only=True)
    except LocalEntryNotFoundError:
        return ""
    except HFValidationError:
        raise InvalidInputError("a data set of the hub is named as owner/name or owner/name:configuration", value=dataset.id) from None
    try:
        return _load(dataset, folder)
    except AutopeftError:
        raise
    except (FileNotFoundError, ValueError, KeyError, RuntimeError) as error:
        # The cached copy lacks this configuration or one of its splits: another task of the same data set left it.
        return "" if dataset.is_described else f" in this form ({in_one_line(error)})"


def _load(dataset: HubDataset, where: str) -> Mapping[Role, Table]:
    import datasets

    try:
        splits = datasets.load_dataset(where, dataset.configuration)
    except RuntimeError as error:
        if where != dataset.id or "scripts are no longer supported" not in str(error):
            raise
        splits = datasets.load_dataset(where, dataset.configuration, revision=_CONVERTED)
    chosen = dataset.splits if dataset.is_described else _chosen(dataset, list(splits))
    return {role: _table(dataset, split, splits) for role, split in chosen.items()}


def _chosen(dataset: HubDataset, names: Sequence[str]) -> dict[Role, str]:
    """Return the split of each role: what is given, else the first of a usual name; a single split is for training.

    Raises:
        InvalidInputError: There is none to train on, or not the one that is given.
    """
    found = dict(dataset.splits)
    taken = [_PART.fullmatch(split)[1] for split in found.values()]  # type: ignore[index]
    for role in ROLES:
        usual = [name for name in _USUAL_SPLITS[role] if name in names and name not in taken]
        if role == "train" and not usual and len(names) == 1:
            usual = list(names)
        if role not in found and usual:
            found[role] = usual[0]
    if missing := [name for name in taken if name not in names]:
        raise InvalidInputError(f"{dataset.id} has no such split", value=missing[0], remedy=f"It has: {', '.join(names)}.")
    if "train" not in found:
        remedy = f"Say which: --splits train=NAME. It has: {', '.join(names)}."
        raise InvalidInputError(f"it isn't clear which split of {dataset.id} is for training", remedy=remedy)
    return found


def _table(dataset: HubDataset, split: str, splits: Mapping[str, Any]) -> Table:
    """Return a split, or the part of it that is asked for, with images and sounds as they are stored.

    Raises:
        InvalidInputError: It doesn't fit into memory.
    """
    name, first, last = _PART.fullmatch(split).groups()  # type: ignore[union-attr]
    rows = splits[name]
    source = " ".join(filter(None, (dataset.id, dataset.configuration, split)))
    start, stop = min(int(first or 0), len(rows)), min(int(last or len(rows)), len(rows))
    if (start, stop) != (0, len(rows)):
        rows = rows.select(range(start, stop))
    require_size(source, rows.data.nbytes * len(rows) // max(1, rows.data.num_rows), f"Give a part of it: --splits train={name}[:20000].")
    columns = columns_of(rows, with_names=not dataset.is_described)
    return Table(source, with_nested(columns), range(start + 1, stop + 1))
