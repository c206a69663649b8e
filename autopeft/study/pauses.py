"""Where paused trials wait: in a trial's folder, what it measured so far and what its training needs to go on.

trials/0007/paused-0.25.json           what it measured
trials/0007/paused-0.25.safetensors    trained tensors, optimiser and random state

The name has the share of the budget in it, so that a crash between these files and the study's record of them mixes nothing up.
"""

import json
from dataclasses import asdict

from autopeft.errors import InvalidInputError
from autopeft.forms import read_json
from autopeft.study.directory import RunDirectory
from autopeft.training.measurement import Checkpoint, Measurement, Outcome


def keep(run: RunDirectory, outcome: Outcome) -> None:
    """Write down a trial that has paused at a rung."""
    number, measurement = outcome.assignment.trial, outcome.measurement
    assert measurement is not None, "a trial that failed doesn't pause"
    name = _name(measurement.progress)
    run.write_trial(number, {f"{name}.safetensors": outcome.state, f"{name}.json": json.dumps(asdict(measurement)).encode()})


def read(run: RunDirectory, number: int, progress: float) -> Checkpoint:
    """Return where a trial paused after a share of its budget.

    Raises:
        InvalidInputError: The files are missing or broken.
    """
    folder, name = run.trial_path(number), _name(progress)
    try:
        measurement = Measurement.from_dict(read_json(folder / f"{name}.json", Measurement, nulls=True))
        return Checkpoint(measurement, (folder / f"{name}.safetensors").read_bytes())
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InvalidInputError(f"trial {number} can't go on from its last rung: {error}", value=str(folder)) from None


def drop(run: RunDirectory, number: int) -> None:
    """Remove what a trial kept that has ended."""
    for path in run.trial_path(number).glob(_name("*")):
        path.unlink()


def _name(progress: float | str) -> str:
    return f"paused-{progress}"
