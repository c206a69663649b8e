"""Pieces of the texts that exports carry."""

from collections.abc import Mapping
from pathlib import Path

from autopeft.errors import AutopeftError
from autopeft.export.finished_trial import FinishedTrial


def metric_lines(metrics: Mapping[str, float]) -> str:
    """Return metrics as rows of a Markdown table, with every digit: they are there to be compared with."""
    return "\n".join(f"| {name} | {value!r} |" for name, value in metrics.items())


def _measured_on(limit: int | None, n_validation: int | None) -> str:
    """Say which examples the metrics were measured on: "on 408 examples of the validation data"."""
    if n_validation is None:
        return "on all validation data" if limit is None else f"on at most {limit:,} examples of the validation data"
    if limit is None or limit >= n_validation:
        return f"on all {n_validation:,} examples of the validation data"
    return f"on {limit:,} of the {n_validation:,} examples of the validation data"


def _sizes(trial: FinishedTrial) -> tuple[int | None, int | None]:
    """Return how many training and validation examples there are; an adapter can be exported where its data is not."""
    try:
        data = trial.load_data()
    except AutopeftError:
        return None, None
    return len(data.train), len(data.validation)


def circumstances(trial: FinishedTrial) -> str:
    """Say what the metrics were measured on and how far to trust them, test metrics in a table of their own."""
    n_train, n_validation = _sizes(trial)
    measured = f"Measured {_measured_on(trial.budget.evaluation_examples, n_validation)}, in float32."
    budget = trial.budget.describe(n_train, n_validation)
    if not trial.test_metrics:
        how = "at a search's low budget" if trial.record.low_cost is None else "at the full budget, and the validation data chose the epoch"
        return (
            f"{measured} The trial was trained {how}: {budget}. The validation data also chose this "
            "trial among others, so expect a little less on new data."
        )
    return (
        f"{measured} It was retrained: {budget}. The validation data chose the epoch, and the best of several "
        f"seeds. On test data, which chose nothing:\n\n| test metric | value |\n|---|---|\n{metric_lines(trial.test_metrics)}"
    )


def data_lines(trial: FinishedTrial) -> str:
    """Return where the examples came from, as a Markdown list; own files without their folders, since cards are made to be passed on."""
    text = "\n".join(f"- {note}" for note in trial.data_notes) or f"- the task `{trial.task.name}`"
    for file in filter(None, (trial.data.get(role) for role in ("train", "validation", "test"))):
        text = text.replace(file, Path(file).name)
    return text
