from dataclasses import replace

import pytest

from autopeft.errors import InvalidInputError
from autopeft.objectives import ADAPTER_BYTES, LATENCY_SECONDS, TRAINABLE_PARAMETERS, Objective
from autopeft.report.leaderboard import Leaderboard
from autopeft.report.picture import draw


def test_every_complete_trial_is_drawn_and_the_failed_are_counted(records, objectives, header):
    picture = draw(Leaderboard.of(records, objectives), header)
    assert [point.trial for point in picture.front] == [0, 3, 1]
    assert [point.trial for point in picture.dominated] == [4, 2]
    assert "5 trials (1 failed, left out)" in picture.subtitle
    low, high = picture.y_limits
    assert all(low < point.y < high for point in (*picture.front, *picture.dominated))
    assert "higher is better" in picture.y_title
    assert "log scale" in picture.x_title


def test_where_all_score_alike_the_axis_ends_where_the_metric_does(trial, objectives, header):
    """Nothing is 104 % right."""
    low, high = draw(Leaderboard.of([trial(0, 1.0, 2000), trial(1, 1.0, 1000)], objectives), header).y_limits
    assert low < 0.96
    assert 1 < high < 1.01


def test_the_stairs_go_right_and_then_up(records, objectives, header):
    picture = draw(Leaderboard.of(records, objectives), header)
    x = {point.trial: point.x for point in picture.front}
    right = picture.axis.limits[1]
    assert picture.stairs == ((x[0], 0.70), (x[3], 0.70), (x[3], 0.84), (x[1], 0.84), (x[1], 0.88), (right, 0.88))


def test_hovering_tells_the_trial_in_words(records, objectives, header):
    point = draw(Leaderboard.of(records, objectives), header).front[1]
    assert point.lines == (
        "trial 3",
        "f1 0.8300",
        "accuracy 0.8400",
        "12,288 parameters (0.054% of the model)",
        "12.3 seconds",
        "lora 8 [query value] in 0 2 4",
        "learning rate 0.001",
    )


def test_with_a_third_objective_the_stairs_skip_what_two_axes_dominate(trial, header):
    objectives = (Objective("accuracy", "maximize"), TRAINABLE_PARAMETERS, Objective("seconds", "minimize", "s"))
    quick = trial(0, 0.7, 2000)
    slow = trial(1, 0.8, 1000)
    records = [replace(one, values={**one.values, "seconds": seconds}) for one, seconds in ((quick, 1.0), (slow, 9.0))]
    picture = draw(Leaderboard.of(records, objectives), header)
    assert len(picture.front) == 2
    assert [y for _, y in picture.stairs] == [0.8, 0.8]


def test_of_more_objectives_the_first_and_the_first_cost_are_drawn_and_the_plot_says_so(trial, header):
    objectives = (Objective("accuracy", "maximize"), Objective("f1", "maximize"), LATENCY_SECONDS, ADAPTER_BYTES)
    values = [{"accuracy": 0.7, "f1": 0.6, "latency_seconds": 0.02, "adapter_bytes": 4000.0}]
    values.append(values[0] | {"accuracy": 0.8, "latency_seconds": 0.005})
    values.append(values[0] | {"accuracy": 0.9, "latency_seconds": 0.001})
    records = [trial(number, one["accuracy"], 1000, values=one) for number, one in enumerate(values)]
    picture = draw(Leaderboard.of([*records[:2], replace(records[2], exceeds=("latency_seconds",))], objectives), header)
    assert picture.x_title == "latency seconds (seconds, log scale)"
    assert [(point.trial, round(10**point.x, 6)) for point in picture.front] == [(1, 0.005)]
    assert "the front is that of 4 objectives, f1 and adapter bytes not shown" in picture.subtitle
    assert "2 trials (1 infeasible, left out)" in picture.subtitle
    assert {"adapter bytes 4,000", "latency seconds 0.005"} <= set(picture.front[0].lines)


def test_nothing_to_draw_is_an_error(failed, objectives, header):
    with pytest.raises(InvalidInputError, match="at least one complete trial"):
        draw(Leaderboard.of([failed], objectives), header)
