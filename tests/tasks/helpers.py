import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autopeft.tasks import Split


def write(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    """Write columns in the format that the suffix names, by other means than the reader's where there are some."""
    import pandas as pd

    frame = pd.DataFrame(columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    match path.suffix:
        case ".csv":
            frame.to_csv(path, index=False)
        case ".tsv":
            frame.to_csv(path, index=False, sep="\t")
        case ".parquet":
            frame.to_parquet(path)
        case ".jsonl":
            path.write_text("\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)))
        case ".json":
            path.write_text(json.dumps([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]))
    return path


def examples(split: Split) -> list[tuple[Any, ...]]:
    """Return a split as comparable rows."""
    return [(*texts, label.item()) for *texts, label in zip(*split.inputs, split.targets, strict=True)]
