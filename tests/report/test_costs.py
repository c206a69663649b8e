from datetime import datetime

from autopeft.configuration import Configuration
from autopeft.report.costs import SearchCosts
from autopeft.study.record import TrialRecord, TrialTime


def test_sums_leave_out_what_was_not_recorded_and_the_hours_between_a_stop_and_a_resume() -> None:
    def record(number: int, **costs: object) -> TrialRecord:
        return TrialRecord(number, "complete", Configuration(), 0, **costs)

    def moment(hour: int, minute: int) -> datetime:
        return datetime(2026, 1, 1, hour, minute)

    records = [record(0, seconds=600.0, cpu_seconds=900.0, peak_bytes=5), record(1, seconds=540.0, cpu_seconds=100.0), record(2)]
    times = [
        TrialTime(0, moment(8, 0), moment(8, 10), 0.5),
        TrialTime(1, moment(8, 5), moment(8, 14), 1.5),
        TrialTime(2, moment(12, 0), moment(12, 1), None),
    ]
    found = SearchCosts.of(records, times)
    assert (found.n_trials, found.trial_seconds, found.cpu_seconds, found.gpu_seconds, found.peak_bytes) == (2, 1140.0, 1000.0, None, 5)
    assert found.wall_seconds == 15 * 60
    assert (found.suggestion_seconds, found.longest_suggestion_seconds) == (2.0, 1.5)
    assert found.to_dict()["began"] == "2026-01-01T08:00:00"


def test_a_run_without_trials_cost_nothing_known() -> None:
    found = SearchCosts.of([], [])
    assert (found.n_trials, found.wall_seconds, found.cpu_seconds, found.began) == (0, None, None, None)
