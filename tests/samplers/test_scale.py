import numpy as np
import pytest

from autopeft.samplers.scale import ObjectiveScale


def test_a_cost_is_compared_by_ratios() -> None:
    scale = ObjectiveScale.over(np.array([10.0, 1000.0, np.nan, np.inf]), 1.0)
    assert scale(np.array([10.0, 100.0, 1000.0, 1.0])) == pytest.approx([0.0, 0.5, 1.0, -0.5])
    assert np.isfinite(scale(np.array([0.0, -5.0]))).all()


@pytest.mark.parametrize(
    ("values", "sign"),
    [([1.0, 5.0], 1.0), ([-1.0, 50.0], 1.0), ([0.0, 50.0], 1.0), ([1.0, 50.0], -1.0)],
    ids=["narrow", "negative", "zero", "maximised"],
)
def test_all_else_is_compared_by_differences(values: list[float], sign: float) -> None:
    scale = ObjectiveScale.over(np.array(values), sign)
    assert scale(np.array([*values, np.mean(values)])) == pytest.approx([*([0.0, 1.0][:: int(sign)]), 0.5])


@pytest.mark.parametrize("values", [[], [3.0], [3.0, 3.0], [np.nan], [1e308, -1e308]], ids=str)
def test_degenerate_values_have_a_scale(values: list[float]) -> None:
    scale = ObjectiveScale.over(np.array(values), 1.0)
    assert np.isfinite(scale(np.array([0.0, 1.0, 1e300]))).all()
