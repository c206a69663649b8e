"""Rows of a table (see curves.py) from the trials of searches: they lie where searches look, which random configurations seldom do.

    python benchmarks/gather.py runs/mrpc runs/mrpc-1 --out benchmarks/tables/mrpc_searches.jsonl

Every complete trial makes a row, whatever came of it, but for a configuration that was trained with the same seed before: searches of one
seed begin alike, and one version of autopeft trains both to the same last digit. Runs must be of the same task, backbone, budget and
space. With rungs a trial takes some 3 % longer, since it waits and is read back. The table is written anew.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curves import rounded

from autopeft.study.directory import RunDirectory

ALIKE = ("task", "train", "model", "space", "train_examples", "evaluation_examples", "epochs", "batch_size", "batch_tokens", "max_length")
"""Settings in which the runs must agree."""
COPIED = ("seed", "trainable_parameters", "seconds", "cpu_seconds", "peak_bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    runs = [RunDirectory.open(path) for path in given.runs]
    first, *others = ([run.asked()[name]["value"] for name in ALIKE] for run in runs)
    for run, asked in zip(runs[1:], others, strict=True):
        if asked != first:
            parser.error(f"{run.path} differs from {runs[0].path} in one of {', '.join(ALIKE)}")
    distinct: dict[str, dict[str, Any]] = {}
    for row in (row for run in runs for row in rows(run)):
        distinct.setdefault(json.dumps([row["configuration"], row["seed"]]), row)
    given.out.write_text("".join(json.dumps(row) + "\n" for row in distinct.values()))


def rows(run: RunDirectory) -> Iterator[dict[str, Any]]:
    """Yield a row per complete trial of a run."""
    for trial in map(json.loads, (run.path / "trials.jsonl").read_text().splitlines()):
        if trial["state"] != "complete":
            continue
        points = map(json.loads, (run.trial_path(trial["trial"]) / "curve.jsonl").read_text().splitlines())
        curve = [rounded(point) for point in points]
        yield {"configuration": trial["configuration"], **{name: trial[name] for name in COPIED}, "curve": curve}


if __name__ == "__main__":
    main()
