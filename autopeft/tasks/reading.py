"""Reads one data file into a `Table`.

The parsers are the standard library's and pyarrow's, and not `datasets.load_dataset`: they know the line of a mistake, write no
cache that a changed file would make stale, and cannot reach for the network.
"""

import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autopeft.errors import AutopeftError, InvalidInputError
from autopeft.tasks.dialect import DELIMITERS, decode, find_delimiter, make_reader
from autopeft.tasks.folders import metadata_of, read_folder, what_is_no_file, with_named_files
from autopeft.tasks.nested import with_nested
from autopeft.tasks.table import Table

if TYPE_CHECKING:
    import _csv

    import pyarrow as pa

MAX_BYTES = 2**30
"""Files above 1 GiB are refused, for they are held in memory; so is Parquet that unpacks to more."""


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a CSV, TSV, JSON, JSON Lines, Parquet or CoNLL file, or a folder of images or recordings.

    Such a folder has a folder for each class, or a table metadata.csv (or .jsonl, .parquet) whose column file_name names its files.

    CSV is quoted as usual; TSV has no quoting at all, as in GLUE's own files. Both start with a header, and other separators than
    their own are recognised. A JSON file holds a list of objects, one object a line or, as pandas writes it, one object of columns; what an
    object holds inside another is a column by both keys, input.text. Text is UTF-8; UTF-16 and Windows-1252 are recognised.

    Raises:
        InvalidInputError: The file is missing, too large, empty, of unknown type or malformed; names the line where it can.
    """
    try:
        return _read(Path(path))
    except OSError as error:
        if isinstance(error, AutopeftError):
            raise
        remedy = "Check the path, and who may read it."
        raise InvalidInputError(
            f"the data file can't be read: {error.strerror}", value=str(error.filename or path), remedy=remedy
        ) from error


def _read(file: Path) -> Table:
    if file.is_dir():
        if (metadata := metadata_of(file)) is not None:
            return _read(metadata)
        if (found := read_folder(file)) is not None:
            return found
    if not file.is_file():
        what, remedy = what_is_no_file(file)
        raise InvalidInputError(f"the data file {what}", value=str(file), remedy=remedy)
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise InvalidInputError(f"the data file {file} must end in one of {', '.join(SUFFIXES)}", value=file.suffix)
    if not (n_bytes := file.stat().st_size):
        raise InvalidInputError(f"{file} is empty", remedy="Give a file with a header and one row per example.")
    require_size(file, n_bytes)
    table = with_named_files(reader(file))
    if not len(table):
        raise InvalidInputError(f"{file} has no rows", remedy="It needs one per example, after a header if it is CSV or TSV.")
    return table


def require_size(source: Path | str, n_bytes: int, remedy: str = "Give a sample of it: a search needs only thousands of rows.") -> None:
    """Check that data fit into memory.

    Raises:
        InvalidInputError: They don't.
    """
    if n_bytes > MAX_BYTES:
        raise InvalidInputError(f"{source} must hold at most {MAX_BYTES:,} bytes", value=n_bytes, remedy=remedy)


def _read_csv(file: Path) -> Table:
    text, notes = decode(file)
    return _delimited(file, text, ",", notes)


def _read_tsv(file: Path) -> Table:
    text, notes = decode(file)
    return _delimited(file, text, "\t", notes)


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let a cell be as long as a file may be: `csv` refuses more than 131,072 characters, which a document can have."""
    before = csv.field_size_limit(MAX_BYTES)  # of the whole process, so it is put back
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _delimited(file: Path, text: str, usual: str, notes: Sequence[str]) -> Table:
    with _long_cells():
        delimiter, text, first_line = find_delimiter(text, usual)
        if delimiter != usual:
            notes = [*notes, f"{file}: its columns are separated by {DELIMITERS.get(delimiter, repr(delimiter))}"]
        return _table(file, make_reader(text, delimiter, usual), first_line, tuple(notes))


def _table(file: Path, reader: "_csv.Reader", first_line: int, notes: tuple[str, ...]) -> Table:
    records = _records(file, reader, first_line)
    at, header = next(records, (1, []))
    header = [name.strip() for name in header]
    if not any(header) or len(set(header)) != len(header):
        raise InvalidInputError(f"{file}, line {at}: the header must name every column once", value=header)
    lines, rows = [], []
    for line, cells in records:
        if len(cells) != len(header):
            raise InvalidInputError(
                f"{file}, line {line}: a row must have {len(header)} cells, as the header has",
                value=len(cells),
                remedy="In CSV, quote a cell that holds a comma or a line break; TSV can hold neither tab nor line break.",
            )
        lines.append(line)
        rows.append(cells)
    columns = {name: [cells[index] for cells in rows] for index, name in enumerate(header)}
    return Table(str(file), columns, lines, "line", notes)


def _records(file: Path, reader: "_csv.Reader", first_line: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the cells of every record that is not blank."""
    while True:
        line = reader.line_num + first_line
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InvalidInputError(f"{file}, line {line}: not a valid row: {error}", remedy="Check its quotes.") from error
        if cells is None:
            return
        if cells:
            yield line, cells


def _read_json_lines(file: Path) -> Table:
    text, notes = decode(file)
    return _json_lines(file, text, notes)


def _read_json(file: Path) -> Table:
    text, notes = decode(file)
    if not text.lstrip().startswith("["):
        whole = _whole_object(text)
        if whole is None:
            return _json_lines(file, text, notes)
        data = whole.get("data")
        if isinstance(data, list) and all(isinstance(one, dict) for one in data):
            records = _squad(file, data)
        elif (found := _rows_of_columns(file, whole)) is not None:
            records, notes = found, [*notes, "one JSON object of columns was read as a table"]
        elif isinstance(data, list):
            records = data
        else:
            return _json_lines(file, text, notes)
    else:
        records = _parse(str(file), text)
    return _from_objects(file, text, records, range(1, len(records) + 1), "row", notes)


def _whole_object(text: str) -> dict[str, Any] | None:
    """Return what a text holds if it is one object; None of anything else, such as an object a line."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _rows_of_columns(file: Path, whole: Mapping[str, Any]) -> "list[object] | None":
    """Return the rows of an object of columns; None if it isn't one.

    A column is a list, or an object of cells by the row's number, as pandas' `to_json` has it. There are two or more, of two or more rows:
    what has fewer is a row with lists or objects in it, such as a conversation.

    Raises:
        InvalidInputError: Its columns are of different lengths.
    """
    columns = list(whole.values())
    if all(isinstance(column, dict) and column.keys() == columns[0].keys() and all(map(str.isdigit, column)) for column in columns):
        columns = [list(column.values()) for column in columns]
    if len(columns) < 2 or not all(isinstance(column, list) and len(column) > 1 for column in columns):
        return None
    if len(lengths := {len(column) for column in columns}) > 1:
        remedy = 'Or write a list of objects, such as {"text": "...", "label": 1}, one a row.'
        raise InvalidInputError(f"{file}: the columns of one object must be of one length", value=sorted(lengths), remedy=remedy)
    return [dict(zip(whole, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _squad(file: Path, data: Sequence[Mapping[str, Any]]) -> list[object]:
    """Return the rows of an object's data: as they are, or the questions of SQuAD's articles."""
    if not all("paragraphs" in article for article in data):
        return list(data)
    try:
        return [
            {"question": one["question"], "context": paragraph["context"], "answers": [] if one.get("is_impossible") else one["answers"]}
            for article in data
            for paragraph in article["paragraphs"]
            for one in paragraph["qas"]
        ]
    except (KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{file}: an article must have paragraphs with context and qas as SQuAD has them", value=str(error)
        ) from error


def _json_lines(file: Path, text: str, notes: Sequence[str]) -> Table:
    # Not splitlines(): JSON text may hold U+2028 and the like unescaped.
    numbered = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    records = [_parse(f"{file}, line {number}", line, first_line=number) for number, line in numbered]
    return _from_objects(file, text, records, [number for number, _ in numbered], "line", notes)


def _parse(where: str, text: str, first_line: int | None = None) -> "list[object]":
    try:
        return json.loads(text)  # type: ignore[no-any-return]
    except json.JSONDecodeError as error:
        place, remedy = (where, "Write one object a line.") if first_line else (f"{where}, line {error.lineno}", "")
        raise InvalidInputError(f"{place}, character {error.colno}: not valid JSON: {error.msg}", remedy=remedy) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{where}: not valid JSON: {error}") from error


def _require_unicode(file: Path, record: object, place: str, line: int) -> None:
    """Refuse half a character: JSON can spell one of a surrogate pair, and neither a tokenizer nor a terminal takes it.

    Raises:
        InvalidInputError: There is one.
    """
    text = json.dumps(record, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"{file}, {place} {line}: text must be Unicode", value=text[error.start : error.end]) from None


def _from_objects(file: Path, text: str, records: Sequence[object], lines: Sequence[int], place: str, notes: Sequence[str]) -> Table:
    names: dict[str, None] = {}
    objects: list[dict[str, object]] = []
    may_have_halves = re.search(r"\\u[dD][89a-fA-F]", text) is not None
    for line, record in zip(lines, records, strict=True):
        if may_have_halves:
            _require_unicode(file, record, place, line)
        if not isinstance(record, dict):
            raise InvalidInputError(f'{file}, {place} {line}: must be an object such as {{"text": "...", "label": 1}}', value=record)
        names.update(dict.fromkeys(record))
        objects.append(record)
    # A key that an object lacks reads as None, which the checks of texts and labels refuse by line.
    columns = {name: [record.get(name) for record in objects] for name in names}
    return Table(str(file), with_nested(columns), lines, place, tuple(notes))


def _plain(file: Path, table: "pa.Table") -> "pa.Table":
    """Return a table with decimal numbers as floats.

    Raises:
        InvalidInputError: Two columns have the same name.
    """
    import pyarrow as pa

    if len(set(table.column_names)) != table.num_columns:
        raise InvalidInputError(f"{file} must name every column once", value=table.column_names)
    for index, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.float64()))
    return table


def _read_parquet(file: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    batches, n_bytes = [], 0
    try:
        with pq.ParquetFile(file) as parquet:
            schema = parquet.schema_arrow
            for batch in parquet.iter_batches():
                # Counted as it unpacks: the sizes in the file's header are those of the encoded data.
                n_bytes += batch.nbytes
                require_size(file, n_bytes)
                batches.append(batch)
        table = _plain(file, pa.Table.from_batches(batches, schema))
        columns = {name: column.to_pylist() for name, column in zip(table.column_names, table.columns, strict=True)}
    except InvalidInputError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: text that isn't UTF-8, a date out of range
        raise InvalidInputError(f"{file} is not valid Parquet: {error}") from error
    return Table(str(file), with_nested(columns), range(1, table.num_rows + 1))


def _read_conll(file: Path) -> Table:
    """Read words and tags, one word a line: its first and last field. A blank line ends a sentence."""
    words: list[list[str]] = []
    tags: list[list[str]] = []
    lines: list[int] = []
    is_open = False
    text, notes = decode(file)
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        fields = stripped.split("\t") if "\t" in line else stripped.split()
        if not stripped or fields[0] == "-DOCSTART-":
            is_open = False
            continue
        if not is_open and line.startswith("# ") and " = " in line:  # a comment of CoNLL-U
            continue
        if len(fields) < 2:
            remedy = "Write a word and its tag, with a blank line after each sentence."
            raise InvalidInputError(f"{file}, line {number}: a line must hold a word and a tag", value=line, remedy=remedy)
        if not is_open:
            words.append([])
            tags.append([])
            lines.append(number)
            is_open = True
        words[-1].append(fields[0].strip())
        tags[-1].append(fields[-1].strip())
    return Table(str(file), {"tokens": words, "tags": tags}, lines, "line", tuple(notes))


_READERS: dict[str, Callable[[Path], Table]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json_lines,
    ".json": _read_json,
    ".conll": _read_conll,
    ".iob2": _read_conll,
    ".bio": _read_conll,
}
SUFFIXES = tuple(_READERS)
"""File types that can be read, in the order in which a folder is searched for them."""
