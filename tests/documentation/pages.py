"""The pages of the documentation, their fenced blocks and the commands in these."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
GUIDES = [page for page in PAGES if page.name != "CHANGELOG.md" and page.parent.name != "benchmarks"]
"""Pages that say how things are now; the others record how they were."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@dataclass(frozen=True)
class Code:
    """A fenced block."""

    page: Path
    line: int
    language: str
    text: str
    marker: str
    """The comment right before it, such as "quick"."""

    def __str__(self) -> str:
        return f"{name(self.page)}:{self.line}"


FENCE = re.compile(r"(?:^<!-- ?(?P<marker>[^\n]*?) ?-->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> Iterator[Code]:
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start("text"))
        yield Code(page, line, match["language"], match["text"], match["marker"] or "")


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def every(language: str, pages: list[Path] = GUIDES) -> list[Code]:
    return [block for page in pages for block in blocks(page) if block.language == language]


def words_of(text: str, program: str = "autopeft") -> Iterator[list[str]]:
    """The commands of a shell block that call a program, as lists of words without its name."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = next((index for index, word in enumerate(words) if word in ("&&", "|", ";", "--")), len(words))
            command = [word for index, word in enumerate(words[:end]) if index or "=" not in word]
            if command[:1] == ["srun"]:
                command = command[1:]
            if command[:1] == [program]:
                yield command[1:]
            words = words[end + 1 :]
