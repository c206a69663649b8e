"""Pieces of the texts that exports carry."""

from collections.abc import Mapping

from autopeft.errors import AutopeftError
from autopeft.export.subject import FinishedTrial


def metric_lines(metrics: Mapping[str, float]) -> str:
    """Return metrics as rows of a Markdown table, with every digit: they are there to be compared with."""
    return "\n".join(f"| {name} | {value!r} |" for name, value in metrics.items())


def measured_on(trial: FinishedTrial) -> str:
    """Say which examples the metrics were measured on: "on 408 examples of the validation data"."""
    limit = trial.budget.evaluation_examples
    try:
        n_validation = len(trial.load_data().validation)
    except AutopeftError:  # an adapter can be exported where its data is not
        return "on all validation data" if limit is None else f"on at most {limit:,} examples of the validation data"
    if limit is None or limit >= n_validation:
        return f"on all {n_validation:,} examples of the validation data"
    return f"on {limit:,} of the {n_validation:,} examples of the validation data"


def data_lines(trial: FinishedTrial) -> str:
    """Return where the examples came from, as a Markdown list."""
    return "\n".join(f"- {note}" for note in trial.data_notes) or f"- the task `{trial.task.name}`"
