import csv
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from autopeft.errors import UnknownNameError
from autopeft.report.files import write_report
from autopeft.report.leaderboard import Leaderboard
from autopeft.report.palette import LIGHT

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def test_all_files_are_written(records, objectives, header, tmp_path):
    paths = write_report(Leaderboard.of(records, objectives), header, tmp_path / "new", ["html", "png", "svg"])
    names = ["pareto.html", "pareto.png", "pareto.svg", "leaderboard.csv", "front.json"]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(names)
    assert (tmp_path / "new/pareto.png").read_bytes().startswith(PNG_SIGNATURE)


def test_the_front_file_is_the_front(records, objectives, header, tmp_path):
    write_report(Leaderboard.of(records, objectives), header, tmp_path, [])
    assert [row["trial"] for row in json.loads((tmp_path / "front.json").read_text())] == [0, 3, 1]


def test_the_csv_has_every_trial_with_configurations_in_words_and_json(records, objectives, header, tmp_path):
    write_report(Leaderboard.of(records, objectives), header, tmp_path, [])
    with (tmp_path / "leaderboard.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["0", "3", "1", "4", "2", "9"]
    assert rows[1]["in_words"].startswith("lora 8 [query value]")
    assert json.loads(rows[1]["configuration"])["modules"][0]["method"] == "lora"
    assert rows[5]["accuracy"] == ""


def test_svg_is_the_same_each_time_and_holds_the_words(records, objectives, header, tmp_path):
    leaderboard = Leaderboard.of(records, objectives)
    hostile = replace(header, task="<script>alert(1)</script> $x$")
    contents = []
    for folder in ("a", "b"):
        write_report(leaderboard, hostile, tmp_path / folder, ["svg"])
        contents.append((tmp_path / folder / "pareto.svg").read_text())
    assert contents[0] == contents[1]
    assert "script" not in {element.tag.split("}")[-1] for element in ElementTree.fromstring(contents[0]).iter()}


def test_the_page_is_self_contained_and_has_every_point(many_records, objectives, header, tmp_path):
    write_report(Leaderboard.of(many_records, objectives), header, tmp_path, ["html"])
    page = (tmp_path / "pareto.html").read_text()
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    assert len(page) > 1_000_000  # plotly itself
    assert len(set(re.findall(r"trial (\d+)\\u003cbr", page))) == len(many_records)


def test_the_page_draws_the_stairs_between_dominated_and_front(records, objectives, header, tmp_path):
    write_report(Leaderboard.of(records, objectives), header, tmp_path, ["html"])
    call = (tmp_path / "pareto.html").read_text().split("Plotly.newPlot(")[-1]
    traces, _ = json.JSONDecoder().raw_decode(call[call.index("[") :])
    dominated, stairs, front, *key = traces
    assert (len(dominated["x"]), len(front["x"])) == (2, 3)
    assert stairs["y"] == [0.7, 0.7, 0.84, 0.84, 0.88, 0.88]
    assert dominated["name"] == "dominated (2)"
    assert [trace["name"] for trace in key] == ["lora"]


def test_every_picture_has_the_methods_colours(records, objectives, header, tmp_path):
    write_report(Leaderboard.of(records, objectives), header, tmp_path, ["html", "svg"])
    fills = re.findall(r'"fillcolor":"(#\w+)"', (tmp_path / "pareto.html").read_text())
    assert fills == [LIGHT["m0"]] * 4  # five trials are complete, and one of them has no module
    assert f"fill: {LIGHT['m0'].lower()}" in (tmp_path / "pareto.svg").read_text()


def test_what_users_wrote_cannot_become_markup(trial, objectives, header, tmp_path):
    hostile = replace(header, name="<img src=x>", task="<script>alert(1)</script>", model="</title><b>", budget="<i>")
    records = [trial(0, 0.5, 1000, metrics={"accuracy": 0.5, "<a href='evil'>f1</a>": 0.4})]
    write_report(Leaderboard.of(records, objectives), hostile, tmp_path, ["html"])
    page = (tmp_path / "pareto.html").read_text()
    for markup in ("<script>alert", "</title><b>", "<img src=x>", "<a href='evil'", "\\u003ca href"):
        assert markup not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;a href=" in page  # the hover text shows the name as it was written


def test_an_unknown_format_is_refused_before_anything_is_written(records, objectives, header, tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown plot format .*pgn.*'png'"):
        write_report(Leaderboard.of(records, objectives), header, tmp_path / "out", ["html", "pgn"])
    assert not (tmp_path / "out").exists()
