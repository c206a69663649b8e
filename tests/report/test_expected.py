import math

from autopeft.report.drawings import front as draw_front
from autopeft.report.expected import ExpectedFront
from autopeft.report.leaderboard import Leaderboard, tables
from autopeft.report.picture import draw
from autopeft.study.record import Expectation

EXPECTED = {
    0: Expectation(0.70, 0.01),
    1: Expectation(0.81, 0.02),
    2: Expectation(0.69, 0.01),
    3: Expectation(0.82, 0.01),
    4: Expectation(0.83, 0.01),
}


def test_a_lucky_trial_is_on_the_measured_front_and_not_on_the_expected(records, objectives):
    found = ExpectedFront.of(records, objectives, EXPECTED)
    assert found.front == (0, 3, 4)  # measured: 0, 3, 1
    assert math.isclose(found.flatters, (0.0 + 0.02 + 0.07) / 3)
    assert found.words(1) == "0.8100 [0.7708, 0.8492]"
    verdict = found.verdict([0, 3, 1])
    assert "#0, #3, #4, with 1 trial that the measured one lacks" in verdict
    assert "better than it by 0.0300" in verdict


def test_few_validation_examples_make_intervals_wide_and_none_leaves_the_metric_s_range(records, objectives):
    found = ExpectedFront.of(records, objectives, EXPECTED | {4: Expectation(0.99, 0.01)}, n_rows=40)
    low, high = found.interval(1)
    assert high - low > 2 * 1.96 * math.sqrt(0.81 * 0.19 / 44)  # more than 40 coin throws have, for seeds differ too
    assert found.interval(4)[1] == 1.0
    assert "other than these 40 validation examples would give other numbers" in found.verdict([0])


def test_without_expectations_nothing_is_said(records, objectives):
    found = ExpectedFront.of(records, objectives, {})
    assert (found.trials, found.front, found.verdict([0]), found.interval(0)) == ({}, (), "", None)
    assert math.isnan(found.flatters)


def test_the_fronts_table_has_it_beside_the_metric(records, objectives, header):
    expected = ExpectedFront.of(records, objectives, EXPECTED)
    board = Leaderboard.of(records, objectives)
    front, dominated = tables(board, header, expected=expected.words)[:2]
    titles = [column.title for column in front.columns]
    assert titles[:3] == ["trial", "accuracy", "expected accuracy"]
    assert [row[2] for row in front.rows] == [expected.words(number) for number in (0, 3, 1)]
    assert "expected accuracy" not in [column.title for column in dominated.columns]


def test_the_drawing_has_an_interval_on_each_point_of_the_front(records, objectives, header):
    expected = ExpectedFront.of(records, objectives, EXPECTED)
    picture = draw(Leaderboard.of(records, objectives), header, expected.interval)
    assert [point.interval for point in picture.front] == [expected.interval(point.trial) for point in picture.front]
    bars = [one for one in draw_front(picture, 700.0).iter() if one.get("class") == "expected"]
    assert len(bars) == 3
    widest = max(bars, key=lambda one: float(one.get("height")))
    assert widest is bars[2]  # trial 1, whose deviation is twice the others'
