import io
import re

import pytest
from rich.console import Console

from autopeft.report.expected import ExpectedFront
from autopeft.report.leaderboard import Column, Leaderboard, Table, introduction, tables
from autopeft.report.table import plain_text, rich_text, show_tables


def test_plain_text_is_aligned_and_never_cut(records, objectives, header):
    leaderboard = Leaderboard.of(records, objectives)
    text = plain_text(introduction(leaderboard, header), tables(leaderboard, header))
    lines = text.splitlines()
    start = lines.index("Pareto front (3)") + 1
    assert lines[start].split() == ["trial", "accuracy", "f1", "parameters", "%", "of", "model", "seconds", "configuration"]
    assert lines[start + 3].endswith("294,912        1.3%     12.3  lora 8 [query value] in 0 2 4, learning rate 0.001")
    column = lines[start].index("configuration")
    assert all(line[column - 2 : column] == "  " for line in lines[start + 1 : start + 4])


def drawn(content, **options):
    console = Console(file=io.StringIO(), force_terminal=True, **options)
    console.print(content)
    return console.file.getvalue()


def test_the_rich_table_keeps_brackets_and_wraps_what_does_not_fit(records, objectives, header):
    text = drawn(rich_text(["Run [bold]x[/bold]"], tables(Leaderboard.of(records, objectives), header)), width=90)
    assert "Run [bold]x[/bold]" in text
    assert "[query" in text
    assert "294,912" in text
    assert "…" not in text


def test_no_color_is_honoured(records, objectives, header, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = drawn(rich_text([], tables(Leaderboard.of(records, objectives), header)), width=120)
    assert "\x1b[3" not in text  # colours are codes 30 to 38; bold and dim are styles, not colours


@pytest.mark.parametrize(("terminal", "show_all", "cut"), [(True, False, True), (True, True, False), (False, False, False)])
def test_only_a_terminal_gets_a_short_leaderboard(many_records, objectives, header, capsys, monkeypatch, terminal, show_all, cut):
    monkeypatch.setattr(Console, "is_terminal", terminal)
    leaderboard = Leaderboard.of(many_records, objectives)
    show_tables(leaderboard, header, ExpectedFront.of(many_records, objectives, {}), show_all=show_all)
    assert ("--all shows the rest" in capsys.readouterr().out) == cut


RETRAINED = Table(
    "Trained with all data (2)",
    (
        Column("name", is_number=False),
        Column("seeds"),
        Column("test accuracy"),
        Column("parameters"),
        Column("configuration", is_number=False),
    ),
    (
        ("trial 7", "3", "0.8543 ± 0.0123 [0.8123, 0.8923]", "14,982", "lora 8 [query value] in 0 1 2"),
        ("full fine-tuning", "3", "0.8743 ± 0.0023 [0.8623, 0.8823]", "11,014,982", "full_fine_tuning 1"),
    ),
)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_names_are_whole_at_any_width_and_nothing_is_lost(width):
    text = drawn(rich_text([], [RETRAINED]), width=width, no_color=True)
    assert "trial 7" in text
    assert "full fine-tuning" in text
    assert "…" not in text
    words = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert all(len(line.rstrip()) <= width for line in words.splitlines()) or width == 40
    for row in RETRAINED.rows:
        for cell in row:
            assert set(cell.split()) <= set(words.replace(",\n", "\n").replace(", ", " ").split()) | set(words.split()), cell


def test_a_long_text_stands_below_before_it_becomes_a_column_of_many_lines():
    columns = (Column("trial"), Column("configuration", is_number=False))
    words = "prefix 8 in 0 1 2 3 4 5, " * 10
    short, long = (
        drawn(rich_text([], [Table("Front", columns, (("7", text),))]), width=60, no_color=True) for text in (words[:100], words)
    )
    assert "    7  prefix 8" in short
    assert re.search(r"^    7\n    prefix 8", re.sub(r" +$", "", long, flags=re.MULTILINE), re.MULTILINE)


def test_what_does_not_fit_beside_stands_below_with_its_title():
    text = re.sub(r"\x1b\[[0-9;]*m", "", drawn(rich_text([], [RETRAINED]), width=64, no_color=True))
    lines = [line.rstrip() for line in text.splitlines()]
    assert "    parameters 14,982, lora 8 [query value] in 0 1 2" in lines
    assert any(line.startswith("trial 7 ") and line.endswith("[0.8123, 0.8923]") for line in lines)
