"""What installs this very autopeft again: its version from an index, its commit, or else a wheel made of the installed files."""

import base64
import hashlib
import json
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from autopeft.space.reader import builtin_folder

_PACKAGE = Path(__file__).parents[1]
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip file can hold: the same files make the same wheel."""
_WHEEL = "Wheel-Version: 1.0\nGenerator: autopeft\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def own_requirement(folder: Path) -> str | None:
    """Return the line of a requirements file that installs this autopeft; where no index or repository has it, a wheel in the folder.

    How it was installed says where it came from (PEP 610). None: it isn't installed, only found on the path of imports.
    """
    try:
        installed = distribution("autopeft")
    except PackageNotFoundError:
        return None
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if not origin:
        return f"autopeft=={installed.version}"
    if source := origin.get("vcs_info"):
        return f"autopeft @ {source['vcs']}+{origin['url']}@{source['commit_id']}"
    return f"./{_write_wheel(installed, folder).name}"


def _write_wheel(installed: Distribution, folder: Path) -> Path:
    """Write a wheel of the installed package, as the binary distribution format describes it, and return its path."""
    out = folder / f"autopeft-{installed.version}-py3-none-any.whl"
    about = f"autopeft-{installed.version}.dist-info"
    record = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _files(installed, about):
            archive.writestr(_entry(name), content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}\n")
        archive.writestr(_entry(f"{about}/RECORD"), "".join([*record, f"{about}/RECORD,,\n"]))
    return out


def _files(installed: Distribution, about: str) -> Iterator[tuple[str, bytes]]:
    """Yield the names of a wheel's files and what is in them."""
    for place, source in (("autopeft", _PACKAGE), ("autopeft/search_spaces", builtin_folder())):
        for path in sorted(source.rglob("*")):
            if path.is_file() and path.suffix != ".pyc" and not (place == "autopeft" and path.is_relative_to(source / "search_spaces")):
                yield f"{place}/{path.relative_to(source).as_posix()}", path.read_bytes()
    for name in ("METADATA", "entry_points.txt", "licenses/LICENSE"):
        if (text := installed.read_text(name)) is not None:
            yield f"{about}/{name}", text.encode()
    yield f"{about}/WHEEL", _WHEEL.encode()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry
