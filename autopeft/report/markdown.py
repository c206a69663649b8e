"""A report as Markdown: what is written, without pictures."""

import re

from autopeft.report.blocks import Block, Code, Drawing, Folded, Matrix, Section, TrialCurve
from autopeft.report.leaderboard import Table

ANYWHERE = re.compile(r"([\\`*_\[\]<>|~&$])")
AT_THE_START = re.compile(r"^(\s*(?:\d+(?=[.)])|(?=[#+=-])))")


def to_markdown(title: str, found: list[Section]) -> str:
    """Return the report as GitHub's Markdown; what users wrote can neither format nor link."""
    parts = [f"# {_escaped(title)}"]
    for section in found:
        parts.append(f"## {section.title}")
        parts += [text for block in section.blocks if (text := _block(block))]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case str():
            return _escaped(block)
        case Code(text):
            fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=2))
            return f"{fence}\n{text}\n{fence}"
        case Table():
            return _table(block)
        case Folded(table) | Matrix(table):
            return _table(table)
        case Drawing() | TrialCurve():
            return ""


def _table(table: Table) -> str:
    titles = [_escaped(column.title) for column in table.columns]
    rules = ["---:" if column.is_number else "---" for column in table.columns]
    lines = [titles, rules, *([_escaped(cell) for cell in row] for row in table.rows)]
    return f"### {_escaped(table.title)}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    """Escape what Markdown reads as more than text, within a line or at its start."""
    return AT_THE_START.sub(r"\1\\", ANYWHERE.sub(r"\\\1", text))
