"""MLflow: a run of the search with a nested run a trial. MLFLOW_TRACKING_URI is heeded; without it all is in RUN/mlflow.db."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from autopeft.study.record import TrialRecord
from autopeft.trackers.callback import Callback, TrackedSearch, TrackedTrial, front_rows

_ID = "autopeft.search"
"""The tag by which the run of a search that is resumed is found."""
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""MLflow's own would have a search wait many minutes for a server that is gone."""
_MAX_PARAM = 500


class MlflowRuns(Callback):
    """Curves over examples seen and configurations as nested runs; results over trials and front.json in the search's run."""

    def search_started(self, search: TrackedSearch) -> None:
        """Begin the search's run, or go on with it."""
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        here = not mlflow.is_tracking_uri_set()
        self._client = MlflowClient(f"sqlite:///{search.folder / 'mlflow.db'}" if here else None)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "autopeft")
        found = self._client.get_experiment_by_name(name)
        artifacts = (search.folder / "mlflow").as_uri() if here else None
        self._experiment = self._client.create_experiment(name, artifacts) if found is None else found.experiment_id
        runs = self._client.search_runs([self._experiment], f"tags.`{_ID}` = '{search.id}'")
        if runs:
            self._parent = runs[0].info.run_id
            return
        self._parent = self._client.create_run(self._experiment, run_name=search.name, tags={_ID: search.id}).info.run_id
        self._client.log_batch(self._parent, params=_params(search.settings))

    def trial_finished(self, trial: TrackedTrial) -> None:
        """Write a trial's run, and its point of the search."""
        record, now = trial.record, int(time.time() * 1000)
        tags = {"mlflow.parentRunId": self._parent, "state": record.state, "on_front": str(trial.on_front)}
        run = self._client.create_run(self._experiment, run_name=f"trial {record.number}", tags=tags).info.run_id
        curve = [Metric(name, value, now, step) for step, values in trial.points for name, value in values.items()]
        results = [Metric(f"result_{name}", value, now, 0) for name, value in trial.results.items()]
        self._client.log_batch(run, metrics=[*curve, *results], params=_params(trial.parameters))
        self._client.set_terminated(run, "FAILED" if record.state == "failed" else "FINISHED")
        self._client.log_batch(self._parent, metrics=[Metric(name, value, now, record.number) for name, value in record.values.items()])

    def search_finished(self, front: Sequence[TrialRecord]) -> None:
        """Write the front, and end the search's run."""
        self._client.log_dict(self._parent, {"front": front_rows(front)}, "front.json")
        self._client.set_terminated(self._parent)


def _params(values: Mapping[str, Any]) -> list[Param]:
    return [Param(name, str(value)[:_MAX_PARAM]) for name, value in values.items()]
