"""What a confirmed trial's folder adds: its training at the full budget.

trials/0007/confirmed/measurement.json   what it measured and cost, with the epoch that was kept
trials/0007/confirmed/curve.jsonl        one line a measurement
trials/0007/confirmed/details.json       scores per class and the like on validation data
trials/0007/confirmed/adapter/           what the kept epoch had learnt
trials/0007/confirmed/error.txt          why it failed, instead of these
"""

import json
from dataclasses import asdict, replace

from autopeft.errors import InvalidInputError
from autopeft.forms import read_json
from autopeft.study.details import details_file
from autopeft.study.directory import CONFIRMED, RunDirectory
from autopeft.study.rows import finite, json_lines
from autopeft.training.measurement import Measurement, Outcome, Trained


def keep(run: RunDirectory, outcome: Outcome) -> None:
    """Write down what a trial came to at the full budget."""
    measurement = outcome.measurement
    if measurement is None:
        files = {"error.txt": (outcome.traceback or outcome.error).encode()}
    else:
        files = {f"adapter/{name}": content for name, content in outcome.adapter.items()}
        files["curve.jsonl"] = json_lines(asdict(point) for point in measurement.curve)
        files |= details_file(outcome.details)
        files["measurement.json"] = json.dumps(finite(asdict(measurement))).encode() + b"\n"
    run.write_trial(outcome.assignment.trial, {f"{CONFIRMED}/{name}": content for name, content in files.items()})


def read(run: RunDirectory, number: int) -> Trained:
    """Return a confirmed trial's training.

    Raises:
        InvalidInputError: The files are missing or broken.
    """
    folder = run.confirmed_path(number)
    try:
        measurement = Measurement.from_dict(read_json(folder / "measurement.json", Measurement, nulls=True))
        adapter = {path.name: path.read_bytes() for path in sorted((folder / "adapter").iterdir())}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InvalidInputError(f"what trial {number} was confirmed with can't be read: {error}", value=str(folder)) from None
    metrics = {name: value for name, value in measurement.metrics.items() if value is not None}  # what is not finite is null in JSON
    return Trained(replace(measurement, metrics=metrics), adapter)
