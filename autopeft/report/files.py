"""Writing a run's report folder: plots for eyes, a CSV for spreadsheets, JSON for programs."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from autopeft.errors import UnknownNameError
from autopeft.report.formatting import one_line
from autopeft.report.header import RunHeader
from autopeft.report.leaderboard import Leaderboard
from autopeft.report.picture import Picture, draw
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader


def plot_run(run: RunDirectory, folder: Path | None, formats: Sequence[str]) -> list[Path]:
    """Write a run's plots and files, into its report folder if none is given; return the paths.

    Raises:
        UnknownNameError: A format is not one of `FORMATS`.
        InvalidInputError: There is no study yet, or no trial within the bounds has a result to draw.
    """
    study = StudyReader.open(run)
    leaderboard = Leaderboard.of(study.records(), study.objectives)
    header = RunHeader.from_settings(run.settings(), run.path.resolve().name)
    return write_report(leaderboard, header, folder or run.report_path, formats)


def write_report(leaderboard: Leaderboard, header: RunHeader, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write the plot in each format, leaderboard.csv and front.json; return the paths.

    Raises:
        UnknownNameError: A format is not one of `FORMATS`.
        InvalidInputError: No trial within the bounds has a result to draw.
    """
    for name in formats:
        if name not in FORMATS:
            raise UnknownNameError("plot format", name, FORMATS)
    picture = draw(leaderboard, header)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"pareto.{name}" for name in dict.fromkeys(formats)]
    for path in paths:
        FORMATS[path.suffix[1:]](picture, path)
    return [*paths, _write_csv(leaderboard, folder / "leaderboard.csv"), _write_front(leaderboard, folder / "front.json")]


def _write_page(picture: Picture, path: Path) -> None:
    from autopeft.report.page import write_page

    write_page(picture, path)


def _write_image(picture: Picture, path: Path) -> None:
    from autopeft.report.image import write_image

    write_image(picture, path)


FORMATS: Mapping[str, Callable[[Picture, Path], None]] = {"html": _write_page, "png": _write_image, "svg": _write_image}
"""Plot formats by file suffix; each loads its plotting library when it is first used."""


def _write_csv(leaderboard: Leaderboard, path: Path) -> Path:
    in_words = {record.number: one_line(record.configuration.describe()) for record in leaderboard.records}
    rows = [
        {name: json.dumps(cell) if isinstance(cell, dict | list) else cell for name, cell in row.items()}
        | {"in_words": in_words[row["trial"]]}
        for row in leaderboard.rows()
    ]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def _write_front(leaderboard: Leaderboard, path: Path) -> Path:
    path.write_text(json.dumps(leaderboard.front_rows(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return path
