"""Loads a data set from the Hugging Face hub, or says within seconds that it can't be had.

Without a route to the hub, `datasets.load_dataset` tries for half a minute, and for minutes if something accepts the connection and
never answers. So a cached copy is used at once, and otherwise a single request under a deadline decides whether to go on.
"""

import queue
import threading
from collections.abc import Mapping
from typing import Any

from autopeft.errors import UnavailableError
from autopeft.tasks.entry import HubDataset, Role
from autopeft.tasks.table import Table

REQUEST_SECONDS = 3.0
"""How long each network operation of the probe may take."""
DEADLINE_SECONDS = 3.5
"""How long the probe as a whole may take: name resolution knows no time limit of its own."""


def load_dataset_tables(dataset: HubDataset, offline: bool) -> Mapping[Role, Table]:
    """Return the tables of a data set by role.

    Args:
        dataset: Which data set, and which splits of it.
        offline: Whether only a cached copy will do.

    Raises:
        UnavailableError: The data set is neither cached nor to be had from the hub.
    """
    from huggingface_hub.constants import is_offline_mode

    if (cached := _load_cached(dataset)) is not None:
        return cached
    if offline or is_offline_mode():
        raise UnavailableError(f"{dataset.id} is not in the hub's cache, and the network is not used when offline")
    if reason := _why_unreachable(dataset.id):
        raise UnavailableError(f"{dataset.id} is not in the hub's cache and can't be reached on the hub: {reason}")
    try:
        return _load(dataset, dataset.id)
    except Exception as error:  # datasets lets the errors of half a dozen libraries through
        raise UnavailableError(f"{dataset.id} can't be loaded from the hub: {_one_line(error)}") from error


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


def _why_unreachable(dataset_id: str) -> str:
    """Return in a few words why the hub doesn't answer for a data set; empty if it does."""
    from huggingface_hub import HfApi

    answers: queue.SimpleQueue[str] = queue.SimpleQueue()

    def probe() -> None:
        try:
            HfApi().dataset_info(dataset_id, timeout=REQUEST_SECONDS)
            answers.put("")
        except Exception as error:
            answers.put(_one_line(error))

    # A daemon, so that a request that hangs doesn't keep the process alive.
    threading.Thread(target=probe, daemon=True).start()
    try:
        return answers.get(timeout=DEADLINE_SECONDS)
    except queue.Empty:
        return f"no answer within {DEADLINE_SECONDS} seconds"


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
