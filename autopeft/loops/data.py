"""Loads the examples that a request names: the one place for searching, retraining, checking and exporting."""

from typing import Any

from autopeft.request import SearchRequest
from autopeft.tasks import TaskData, load, load_dataset, load_files


def load_data(request: SearchRequest, *, with_test: bool = False) -> TaskData:
    """Read the task that a request names; a search never holds its test examples, and trains on the same ones either way.

    Raises:
        InvalidInputError: A file breaks a rule.
        UnknownNameError: There is no such task.
        UnavailableError: The data is neither in a folder nor can the hub be reached.
    """
    if request.task is not None:
        return load(request.task, data_dir=request.data_dir, offline=request.offline, with_test=with_test)
    columns: dict[str, Any] = {"text": request.text, "label": request.label, "kind": request.kind}
    if request.dataset is not None:
        return load_dataset(request.dataset, splits=request.splits, **columns, offline=request.offline, with_test=with_test)
    assert request.train is not None
    return load_files(request.train, request.validation, request.test, **columns, with_test=with_test)
