"""Folders of images or recordings as a `Table`: with a folder for each class, or a table of the files, as the hub's data sets have it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from autopeft.errors import InvalidInputError
from autopeft.tasks.media import IMAGE_SUFFIXES, SOUND_SUFFIXES
from autopeft.tasks.table import Table

_SHOWN = 5
"""Folders that a note names."""
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_FILE_NAME = "file_name"


def metadata_of(folder: Path) -> Path | None:
    """Return the table of a folder's files, as `datasets` reads one of images ("imagefolder") or recordings ("audiofolder"), if any."""
    return next((path for name in _METADATA if (path := folder / name).is_file()), None)


def with_named_files(table: Table) -> Table:
    """Return a table whose column `file_name`, if it names images or recordings alone, is also called what it holds.

    Where it names others too a note says so, for then names are read as texts.
    """
    names = [name for name in table.columns.get(_FILE_NAME, ()) if isinstance(name, str)]
    endings = {PurePath(name).suffix.lower() for name in names}
    for column, suffixes in (("image", IMAGE_SUFFIXES), ("audio", SOUND_SUFFIXES)):
        if endings and endings <= set(suffixes) and column not in table.columns:
            return replace(table, columns={**table.columns, column: table.columns[_FILE_NAME]})
    if endings & {*IMAGE_SUFFIXES, *SOUND_SUFFIXES} and not {"image", "audio"} & table.columns.keys():
        several = ", ".join(sorted(ending or "no suffix" for ending in endings)[:_SHOWN])
        note = (
            f"warning: {table.source}: the column {_FILE_NAME} names neither images alone nor recordings alone, but {several}: it is a text"
        )
        return replace(table, notes=(*table.notes, note))
    return table


def read_folder(folder: Path) -> Table | None:
    """Return the images, or recordings, of a folder with one folder a class; None if it is no such folder.

    Raises:
        OSError: One of the folders can't be read.
        InvalidInputError: A class has a name that is no text.
    """
    classes = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    files = [path for one in classes for path in sorted(one.iterdir()) if not path.name.startswith(".")]
    for name, suffixes in (("image", IMAGE_SUFFIXES), ("audio", SOUND_SUFFIXES)):
        chosen = [path for path in files if path.suffix.lower() in suffixes and path.is_file()]
        if chosen:
            paths, labels = [str(path.relative_to(folder)) for path in chosen], [path.parent.name for path in chosen]
            for label in dict.fromkeys(labels):
                _require_text(folder, label)
            empty = [path.name for path in classes if path.name not in set(labels)]
            notes = (*_left_out(folder, files, chosen, suffixes), *_without_files(folder, empty, suffixes))
            return Table(str(folder), {name: paths, "label": labels}, range(1, len(chosen) + 1), "file", notes)
    return None


def _require_text(folder: Path, name: str) -> None:
    """Refuse a class whose name no file of a run could hold: what was written as Latin-1, on a system that reads names as UTF-8.

    Raises:
        InvalidInputError: It is one.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidInputError(f"{folder}: the name of a class must be Unicode", value=ascii(name), remedy="Rename its folder.") from None


def _without_files(folder: Path, names: Sequence[str], suffixes: Sequence[str]) -> tuple[str, ...]:
    """Say which folders are no classes because nothing lies right in them, if any."""
    if not names:
        return ()
    shown = ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
    return (f"warning: {folder}: no class is made of {shown}, as no file in {', '.join(suffixes)} lies right in it",)


def _left_out(folder: Path, files: Sequence[Path], chosen: Sequence[Path], suffixes: Sequence[str]) -> tuple[str, ...]:
    """Say how many files aren't read, if any."""
    others = sorted({*files} - {*chosen})
    if not others:
        return ()
    some = f"{str(others[0].relative_to(folder)).encode(errors='backslashreplace').decode()} among them"
    return (f"{folder}: {len(others):,} of {len(files):,} files are left out, {some}; files in {', '.join(suffixes)} are read",)


def what_is_no_file(path: Path) -> tuple[str, str]:
    """Say what a path leads to instead of a file, and what to do."""
    if path.is_dir():
        kinds = f"Images end in {', '.join(IMAGE_SUFFIXES)}, recordings in {', '.join(SOUND_SUFFIXES)}; or a metadata.csv names them."
        media = (one for one in sorted(path.glob("*/*/*")) if one.suffix.lower() in IMAGE_SUFFIXES + SOUND_SUFFIXES)
        deeper = next((one.parent.parent for one in media), None)
        if deeper is not None:
            kinds += f" There are some in folders of {deeper}."
        return "is a folder without a folder of images or recordings for each class", kinds
    if path.exists():
        return "is a pipe or a device", "Write what comes out of it into a file: every worker reads it again."
    return ("is a link that leads to nothing" if path.is_symlink() else "does not exist"), "Check the path."
