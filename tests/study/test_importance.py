import numpy as np

from autopeft.study.importance import importances


def test_what_decides_a_target_is_distinguished_from_what_does_not_whichever_way_it_points() -> None:
    rng = np.random.default_rng(0)
    rows = [{"much": int(rng.integers(8)), "some": str(rng.choice(["a", "b"])), "none": int(rng.integers(8))} for _ in range(60)]
    target = np.array([3.0 * row["much"] + 5.0 * (row["some"] == "b") for row in rows])
    found = importances(rows, target)
    assert list(found) == ["much", "some", "none"]
    assert found["much"] > 0.6
    assert found["none"] < 0.05
    assert abs(sum(found.values()) - 1) < 1e-9
    mirrored = importances(rows, -target)
    assert all(abs(mirrored[name] - found[name]) < 0.1 for name in found)
