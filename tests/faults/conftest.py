from pathlib import Path

import pytest


@pytest.fixture
def settings(backbone_folder: Path, pairs: tuple[Path, Path]) -> list[object]:
    """Options of a search whose trials take a fraction of a second."""
    data = ["--train", pairs[0], "--validation", pairs[1], "--text", "a,b", "--label", "label"]
    spent = ["--epochs", "2", "--batch-size", "8", "--max-length", "24", "--confirm", "0"]
    return [*data, "--model", backbone_folder, "--sampler", "random", *spent]
