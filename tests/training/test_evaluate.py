"""Scores of examples drawn anew."""

from pathlib import Path

import numpy as np
import pytest

from autopeft.tasks import family_of, load_files
from autopeft.training.backbone import find_backbone
from autopeft.training.evaluate import N_DRAWS, resampled_scores
from autopeft.training.model import load_model
from tests.tasks.helpers import write
from tests.tasks.test_families import COLUMNS


def test_draws_scatter_as_a_share_of_so_many_does(backbone_folder: Path, tmp_path: Path) -> None:
    """Accuracy of a model that is right on 3 of 4: the standard deviation is sqrt(p (1 - p) / n)."""
    n = 400
    columns = {"text": ["the cat"] * n, "label": (["yes", "yes", "yes", "no"] * (n // 4))}
    data = load_files(write(tmp_path / "own.jsonl", columns))
    family = family_of(data.task)
    loaded = load_model(find_backbone(str(backbone_folder)), family)
    encoded = family.encode(loaded.processor, data.train, 16)
    predictions = [np.array([0.0, 1.0])] * len(encoded)  # "yes" to all
    draws = resampled_scores(predictions, encoded)["accuracy"]
    assert len(draws) == N_DRAWS
    assert resampled_scores(predictions, encoded)["accuracy"] == draws
    assert np.mean(draws) == pytest.approx(family.score(predictions, encoded)["accuracy"], abs=0.01)
    assert np.std(draws) == pytest.approx((0.75 * 0.25 / len(encoded)) ** 0.5, rel=0.15)


def test_what_is_not_finite_has_no_draws(backbone_folder: Path, tmp_path: Path) -> None:
    data = load_files(write(tmp_path / "own.jsonl", COLUMNS["classification"]))
    family = family_of(data.task)
    encoded = family.encode(load_model(find_backbone(str(backbone_folder)), family).processor, data.train, 16)
    assert resampled_scores([np.array([0.0, np.nan])] * len(encoded), encoded) == {}
