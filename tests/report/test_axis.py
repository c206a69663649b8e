import itertools

import pytest

from autopeft.report.axis import MAX_TICKS, CostAxis


def test_positions_are_logarithms():
    axis = CostAxis.over([1000, 100_000])
    assert [axis.position(count) for count in (1000, 10_000, 100_000)] == pytest.approx([3, 4, 5])
    assert axis.zero is None
    assert axis.limits[0] < 3
    assert axis.limits[1] > 5
    assert [tick.label for tick in axis.ticks if tick.label in ("1k", "10k", "100k")] == ["1k", "10k", "100k"]


def test_no_parameters_stand_left_of_the_rest_with_a_label():
    axis = CostAxis.over([0, 500, 20_000], 1_000_000, "head only")
    assert axis.limits[0] < axis.position(0) < axis.break_position < axis.position(500)
    assert (axis.ticks[0].label, axis.ticks[0].detail) == ("0", "head only")
    assert all(tick.position > axis.break_position for tick in axis.ticks[1:])
    assert all(position > axis.break_position for position in axis.minor)


@pytest.mark.parametrize("counts", [[0], [1], [768], [300_000, 330_000], [1, 10**9], [0, 384, 3_000_000], [95, 105], [0.0012, 0.034]])
def test_any_range_has_a_few_ticks_inside_the_limits_and_apart(counts):
    axis = CostAxis.over(counts, 22_000_000)
    positions = [tick.position for tick in axis.ticks]
    assert 1 <= len(positions) <= MAX_TICKS + 1
    assert all(axis.limits[0] <= position <= axis.limits[1] for position in positions)
    width = axis.limits[1] - axis.limits[0]
    assert all(later - earlier > width / 40 for earlier, later in itertools.pairwise(positions))
    assert not set(positions) & set(axis.minor)
