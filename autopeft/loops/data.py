"""Loads the examples that a request names and says what a trial spends of them, for searching, retraining, checking and exporting."""

from dataclasses import replace
from typing import Any

from autopeft.budget import Budget
from autopeft.request import SearchRequest
from autopeft.tasks import TaskData, family_of, load, load_dataset, load_files
from autopeft.tasks.text_scores import require_package


def load_data(request: SearchRequest, *, with_test: bool = False) -> TaskData:
    """Read the task that a request names, aimed at its objectives.

    A search never holds its test examples, and trains on the same ones either way.

    Raises:
        InvalidInputError: A file breaks a rule.
        UnknownNameError: There is no such task.
        UnavailableError: The data is neither in a folder nor can the hub be reached, or what an objective needs isn't installed.
    """
    require_package(request.objectives)
    data = _read(request, with_test=with_test)
    return replace(data, task=data.task.aimed_at(request.objectives, request.max_new_tokens))


def _read(request: SearchRequest, *, with_test: bool) -> TaskData:
    if request.task is not None:
        return load(request.task, data_dir=request.data_dir, offline=request.offline, with_test=with_test)
    columns: dict[str, Any] = {"text": request.text, "label": request.label, "kind": request.kind, "language": request.language}
    if request.dataset is not None:
        return load_dataset(request.dataset, splits=request.splits, **columns, offline=request.offline, with_test=with_test)
    assert request.train is not None
    return load_files(request.train, request.validation, request.test, **columns, with_test=with_test)


def low_cost_budget(request: SearchRequest, data: TaskData) -> Budget:
    """Return what a trial spends: the task's default with what the request sets instead.

    Unless it sets the size of a batch, few examples get smaller batches, for at low cost they would make too few steps to learn from. Where
    a loss compares the examples of a batch, its size isn't free.
    """
    budget = request.budget(data.task.low_cost)
    is_given = request.batch_size is not None or budget.batch_tokens is not None
    return budget if is_given or family_of(data.task).needs_whole_batches else budget.with_enough_steps(len(data.train))
