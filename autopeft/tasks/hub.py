"""Loads a data set from the Hugging Face hub, or says within seconds that it can't be had: cached copy, question, download."""

from collections.abc import Mapping
from typing import Any

from autopeft.errors import UnavailableError
from autopeft.hub import is_switched_off, one_line, why_unreachable
from autopeft.tasks.entry import HubDataset, Role
from autopeft.tasks.table import Table


def load_dataset_tables(dataset: HubDataset, offline: bool) -> Mapping[Role, Table]:
    """Return the tables of a data set by role.

    Args:
        dataset: Which data set, and which splits of it.
        offline: Whether only a cached copy will do.

    Raises:
        UnavailableError: The data set is neither cached nor to be had from the hub.
    """
    if (cached := _load_cached(dataset)) is not None:
        return cached
    if offline or is_switched_off():
        raise UnavailableError(f"{dataset.id} is not in the hub's cache, and the network is not used when offline")
    if reason := why_unreachable(dataset.id, "dataset"):
        raise UnavailableError(f"{dataset.id} is not in the hub's cache and can't be reached on the hub: {reason}")
    try:
        return _load(dataset, dataset.id)
    except Exception as error:  # datasets lets the errors of half a dozen libraries through
        raise UnavailableError(f"{dataset.id} can't be loaded from the hub: {one_line(error)}") from error


def _load_cached(dataset: HubDataset) -> Mapping[Role, Table] | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(dataset.id, repo_type="dataset", local_files_only=True)
    except LocalEntryNotFoundError:
        return None
    try:
        return _load(dataset, folder)
    except (FileNotFoundError, ValueError, KeyError):
        # The cached copy lacks this configuration or one of its splits: another task of the same data set left it.
        return None


def _load(dataset: HubDataset, where: str) -> Mapping[Role, Table]:
    import datasets

    splits = datasets.load_dataset(where, dataset.configuration)
    return {role: _table(dataset, split, splits[split]) for role, split in dataset.splits.items()}


def _table(dataset: HubDataset, split: str, rows: Any) -> Table:
    source = " ".join(filter(None, (dataset.id, dataset.configuration, split)))
    return Table(source, {name: list(rows[name]) for name in rows.column_names}, range(1, len(rows) + 1))
