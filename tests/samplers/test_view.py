import numpy as np
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from autopeft.samplers.grid import Grid
from autopeft.samplers.view import SpaceHints, View

GRID = Grid({"n": IntDistribution(0, 4), "x": FloatDistribution(1e-4, 1e-2, log=True)})
ROWS = np.array([[2.0, 0.5], [2.0, 0.504], [2.0, 0.51], [3.0, 0.5]])


@pytest.mark.parametrize("hints", [SpaceHints(), SpaceHints(valid=lambda params: True)])
def test_less_than_a_hundredth_of_a_range_apart_is_a_repeat(hints: SpaceHints) -> None:
    view = View(GRID, {}, [1.0], hints, ROWS[:1])
    assert view.allowed(ROWS).tolist() == [False, False, True, True]
    assert view.allowed(ROWS, repeats=True).all()


def test_nothing_is_written_unless_something_asks_for_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Grid, "write")  # it took almost half of a suggestion's time
    view = View(GRID, {}, [1.0, -1.0], SpaceHints(), ROWS[:1])
    assert view.allowed(ROWS).any()
    assert view.coordinates(ROWS).shape == (4, 2)
    assert np.isnan(view.known_values(ROWS)).all()
    with pytest.raises(AttributeError):
        View(GRID, {0: lambda params: 1.0}, [1.0, -1.0], SpaceHints(), ROWS[:1])
