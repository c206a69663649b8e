"""How a text file is written: its encoding, and what separates the columns of a table.

Spreadsheets of many countries save CSV with semicolons and in the encoding of Windows. Both can be recognised in the file; a note says what
was recognised, since it can be mistaken.
"""

import codecs
import csv
import io
import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from autopeft.errors import InvalidInputError

if TYPE_CHECKING:
    import _csv

DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
"""What may separate columns, by name; of several that fit equally the first."""
N_TRIED = 50
"""Records that must have as many cells as the header, for a separator to fit."""
_SAMPLE = 2**20
"""Characters in which they are looked for."""
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MULTI_BYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""A character of UTF-8 that is not ASCII."""
_NO_TEXT = {
    b"PK\x03\x04": "an Excel workbook or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook or another file of Office",
    b"\x1f\x8b": "compressed by gzip",
    b"\xfd7zXZ\x00": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"SQLite format 3\x00": "a database of SQLite",
    b"%PDF-": "a PDF",
}
"""What files that are often taken for tables begin with, which no table does."""
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n")
"""A first line by which some spreadsheets say what separates columns."""


def decode(file: Path) -> tuple[str, list[str]]:
    """Return a file's text, and a note if it isn't UTF-8.

    Raises:
        InvalidInputError: The bytes are no text in UTF-8, UTF-16 or Windows-1252, or there is a zero among them; names the line. Or
            they are another kind of file under a wrong name.
    """
    data = file.read_bytes()
    if (what := next((what for first, what in _NO_TEXT.items() if data.startswith(first)), None)) is not None:
        raise InvalidInputError(
            f"{file} is no text but {what}", remedy="Unpack it, or save it as CSV in UTF-8 with the program that wrote it."
        )
    text, notes = _decoded(file, data)
    if (place := text.find("\0")) >= 0:
        line = text.count("\n", 0, place) + 1
        raise InvalidInputError(f"{file}, line {line}: a text must not hold zero bytes", remedy="Save the file as UTF-8.")
    return text, notes


def _decoded(file: Path, data: bytes) -> tuple[str, list[str]]:
    """Return a file's text, and a note if it isn't UTF-8.

    UTF-16 is known by its byte order mark. What is neither is Windows-1252, of which Latin-1 is a part, unless characters of UTF-8 stand in
    it too: then it is UTF-8 that was damaged.

    Raises:
        InvalidInputError: The bytes are no text in any of these; names the line and the first byte.
    """
    if data.startswith(_UTF_16) and not data.startswith(codecs.BOM_UTF32_LE):
        try:
            return data.decode("utf-16"), [f"{file}: read as UTF-16"]
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"{file}: the text is not the UTF-16 that its first bytes promise: {error.reason}") from None
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        place, remedy = error, "Save the file as UTF-8."
    if not _MULTI_BYTE.search(data) and b"\0" not in data:
        try:
            return data.decode("cp1252"), [f"{file}: read as Windows-1252, for it is not UTF-8; save it as UTF-8 if letters look wrong"]
        except UnicodeDecodeError as error:
            place = error
    line = data.count(b"\n", 0, place.start) + 1
    raise InvalidInputError(f"{file}, line {line}: the text must be UTF-8", value=data[place.start : place.start + 1], remedy=remedy)


def find_delimiter(text: str, usual: str) -> tuple[str, str, int]:
    """Return what separates a table's columns, the table, and the line of the file at which it begins.

    Args:
        text: All of the file.
        usual: What the file's suffix promises; it stands unless only another makes as many columns, two or more, of each record.
    """
    if (said := _SEPARATOR_LINE.match(text)) is not None:
        return said[1], text[said.end() :], 2
    order = sorted(DELIMITERS, key=lambda delimiter: delimiter != usual)
    return next((delimiter for delimiter in order if _fits(text, delimiter, usual)), usual), text, 1


def make_reader(text: str, delimiter: str, usual: str) -> "_csv.Reader":
    """Return a reader of records: quoted as CSV is, unless the file's suffix says TSV and its columns are separated by tabs."""
    lines = io.StringIO(text, newline="")
    if usual == delimiter == "\t":
        return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _fits(text: str, delimiter: str, usual: str) -> bool:
    sample = text[:_SAMPLE]
    try:
        sizes = [len(cells) for cells in islice(make_reader(sample, delimiter, usual), N_TRIED) if cells]
    except csv.Error:  # it comes again where it is reported
        return False
    if len(sample) < len(text) and len(sizes) < N_TRIED:
        sizes = sizes[:-1]  # cut off in the middle
    return bool(sizes) and sizes[0] > 1 and set(sizes) == {sizes[0]}
