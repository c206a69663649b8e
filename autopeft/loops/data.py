"""Loads the examples that a request names and says what a trial spends of them, for searching, retraining, checking and exporting."""

from dataclasses import replace
from typing import Any

from autopeft.budget import Budget
from autopeft.objectives import TRAINABLE_PARAMETERS, Objective, choose_objectives
from autopeft.request import SearchRequest
from autopeft.tasks import Task, TaskData, family_of, load, load_dataset, load_files
from autopeft.tasks.text_scores import require_package


def load_data(request: SearchRequest, *, with_test: bool = False, metric: str | None = None) -> TaskData:
    """Read the task that a request names, aimed at its objectives.

    A search never holds its test examples, and trains on the same ones either way.

    Args:
        request: What names the task, and the objectives.
        with_test: Whether to read test examples.
        metric: The metric that a run goes by which is there already; None: the first among the objectives. In runs of earlier versions it
            is the task's own, and all that is measured for such a run is to be kept by the same.

    Raises:
        InvalidInputError: A file breaks a rule, or the objectives do.
        UnknownNameError: There is no such task, or objective.
        UnavailableError: The data is neither in a folder nor can the hub be reached, or what an objective needs isn't installed.
    """
    data = _read(request, with_test=with_test)
    if request.objectives:
        objectives_of(request, data.task)
    require_package(request.objectives)
    task = data.task.limit_texts(request.max_new_tokens).aimed_at(request.objectives)
    return replace(data, task=replace(task, metric=metric) if metric in task.metrics else task)


def objectives_of(request: SearchRequest, task: Task) -> tuple[Objective, ...]:
    """Return what a request trades off; errors are those of `choose_objectives`."""
    family = family_of(task)
    directions = {metric.name: metric.direction for metric in (*family.metrics.values(), *family.written_metrics)}
    return choose_objectives(request.objectives or (task.metric, TRAINABLE_PARAMETERS.name), directions)


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
