from pathlib import Path

import pytest

from autopeft.request import SearchRequest


@pytest.fixture
def request_(backbone_folder: Path, pairs: tuple[Path, Path], tmp_path: Path) -> SearchRequest:
    return SearchRequest(
        train=str(pairs[0]),
        validation=str(pairs[1]),
        text=("a", "b"),
        label="label",
        model=str(backbone_folder),
        trials=6,
        workers=0,
        epochs=1,
        batch_size=16,
        max_length=24,
        confirm=0,
        out=str(tmp_path / "run"),
    )
