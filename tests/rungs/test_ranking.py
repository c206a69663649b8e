import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autopeft.pareto import non_dominated
from autopeft.rungs.ranking import best_first


def test_fronts_come_one_after_another() -> None:
    first = [(0, 4), (2, 2), (4, 0)]
    second = [(1, 4), (3, 2), (5, 0)]
    order = best_first(np.array([*second, *first], dtype=float))
    assert set(order[:3]) == {3, 4, 5}
    assert set(order[3:]) == {0, 1, 2}


def test_the_first_of_a_front_cover_it() -> None:
    front = np.array([(x, 10 - x) for x in range(11)], dtype=float)
    assert best_first(front)[:3] == [0, 10, 5]


def test_one_objective_is_sorted() -> None:
    assert best_first(np.array([[3.0], [1.0], [2.0], [np.nan]])) == [1, 2, 0, 3]


def test_scales_do_not_matter() -> None:
    losses = np.random.default_rng(0).random((20, 2))
    assert best_first(losses) == best_first(np.stack([np.exp(20 * losses[:, 0]), losses[:, 1] ** 3], axis=1))


@settings(deadline=None)  # on a busy machine any example may take long
@given(arrays(np.float64, st.tuples(st.integers(0, 12), st.integers(1, 3)), elements=st.sampled_from([0.0, 1.0, 2.0, np.nan, np.inf])))
def test_every_point_once_and_none_before_one_that_dominates_it(losses: np.ndarray) -> None:
    order = best_first(losses)
    assert sorted(order) == list(range(len(losses)))
    for position, index in enumerate(order):
        assert not np.isnan(losses[index]).any() or np.isnan(losses[order[position:]]).any(axis=1).all()
        for later in order[position + 1 :]:
            pair = non_dominated(losses[[index, later]])
            assert pair[0] or not pair[1]
