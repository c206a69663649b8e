"""Three ways to write one run: all say the same, each stands by itself, and what users wrote stays text."""

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnknownNameError
from autopeft.objectives import TRAINABLE_PARAMETERS, Objective
from autopeft.report.content import Report, gather
from autopeft.report.sections import sections
from autopeft.report.writing import write
from autopeft.space.parameter import Real
from autopeft.space.slots import MethodChoice, ModuleSlot
from autopeft.space.space import SearchSpace
from autopeft.study.details import details_file
from autopeft.study.directory import RunDirectory, json_lines
from autopeft.study.problem import SpaceProblem
from autopeft.study.retrained import Candidate, RetrainedFolder, SeedResult
from autopeft.study.study import Study
from autopeft.tasks.details import of_classes
from autopeft.training.measurement import Assignment, FinalMeasurement, Measurement

HOSTILE = '<script>alert("|")</script>'
OBJECTIVES = (Objective("accuracy", "maximize"), TRAINABLE_PARAMETERS)
SPACE = SearchSpace(
    "test", (ModuleSlot("lora", (MethodChoice("lora", (0, 2, 4, 8)),)),), (Real("learning_rate", 1e-4, 1e-2, log=True),), n_layers=4
)


def measurement(accuracy: float, parameters: int, progress: float = 1.0) -> Measurement:
    metrics = {"accuracy": accuracy, "loss": 1 - accuracy}
    return Measurement(metrics, (), parameters, 770, 3.25, 3.0, 10**6, 100, cpu_seconds=5.0, progress=progress)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run of 12 complete trials with curves, one stopped at a rung, one waiting, one that failed; everything named by a joker."""
    directory = RunDirectory.create(tmp_path / "run")
    directory.write_settings(
        {
            "name": "my run",
            "command": f"autopeft search --train '{HOSTILE}.csv' --trials 15",
            "settings": {
                "train": {"value": f"{HOSTILE}.csv", "source": "flag"},
                "data_dir": {"value": "data", "source": "environment"},
                "label": {"value": None, "source": "default"},
            },
            "task": {"name": HOSTILE, "labels": [HOSTILE]},
            "model": {"name": f"tiny {HOSTILE}", "path": HOSTILE, "sha256": "00"},
            "budget": Budget().to_dict(),
            "objectives": [vars(objective) for objective in OBJECTIVES],
            "data_notes": [f"labels: {HOSTILE}"],
            "backbone_parameters": 100_000,
            "head_parameters": 770,
            "n_layers": 4,
            "versions": {"python": "3.11.0"},
        }
    )
    study = Study.create(directory, SpaceProblem(SPACE, OBJECTIVES, lambda _: {}), "random", 0)
    for index in range(15):
        number, configuration, seed = study.ask()
        assignment = Assignment(number, configuration, Budget(), seed)
        if index == 12:
            study.fail(assignment, f"out of memory in {HOSTILE}")
        elif index > 12:
            study.pause(assignment, measurement(0.5, 100, progress=0.25))
        else:
            found = measurement(0.5 + index / 50, 100 * (index + 1))
            steps = [
                {"epoch": 1.0, "progress": share, "examples_seen": 8, "train_loss": 0.7, "metrics": found.metrics} for share in (0.5, 1)
            ]
            directory.write_trial(number, {"curve.jsonl": json_lines(steps)})
            study.tell(assignment, found)
    study.stop(13)
    return directory


def retrain(run: RunDirectory, *entries: tuple[str, str, float]) -> None:
    """Write results of three seeds each for entries of name, kind and mean test accuracy."""
    folder = RetrainedFolder(run.retrained_path)
    settings = {
        "task": HOSTILE,
        "metric": "accuracy",
        "model": {"name": "tiny", "path": "tiny", "sha256": "00"},
        "budget": Budget().to_dict(),
        "examples": {"train": 30, "validation": 10, "test": 10},
        "data_notes": [HOSTILE],
        "backbone_parameters": 100_000,
        "head_parameters": 770,
    }
    for size, (name, kind, mean) in enumerate(entries, 1):
        candidate = Candidate(Configuration((PeftModule("lora", size, (0,)),)), name, kind, size)
        folder.prepare(settings, [candidate])
        for seed in range(3):
            test = {"accuracy": mean + seed / 100}
            folder.write_result(candidate.id, SeedResult(seed, 1.0, test, test, 10 * size, 770, seconds=9.0, peak_bytes=10), {})


@pytest.fixture
def written(run: RunDirectory, tmp_path: Path) -> Callable[[], tuple[str, str, dict]]:
    def write_all() -> tuple[str, str, dict]:
        paths = write(gather(run), tmp_path / "out", ["html", "md", "json"])
        assert [path.name for path in paths] == ["report.html", "report.md", "report.json"]
        page, markdown, data = (path.read_text(encoding="utf-8") for path in paths)
        return page, markdown, json.loads(data)

    return write_all


class Page(HTMLParser):
    """What a browser makes of a page, as far as it matters here."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_what_users_wrote_stays_text(run, written) -> None:
    retrain(run, ("trial 3", "trial", 0.8), (HOSTILE, "baseline", 0.6))
    page, markdown, _ = written()
    parsed = Page(page)
    assert parsed.tags["script"] == 1  # the page's own
    assert HOSTILE in "".join(parsed.words)
    outside_code = re.sub(r"```.*?```", "", markdown, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<", outside_code)
    tables = re.findall(r"(?:^\|.*\n)+", outside_code, flags=re.MULTILINE)
    assert tables
    assert all(len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1 for table in tables)


def test_the_page_needs_nothing_else(written) -> None:
    page, _, _ = written()
    parsed = Page(page)
    assert all(address.startswith("#") for address in parsed.addresses)
    assert {"link", "img", "iframe", "form", "base"}.isdisjoint(parsed.tags)
    assert not re.search(r"@import|url\(", page)
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'" in page  # a browser runs this one and no other
    assert "connect-src 'none'" in page
    assert len(page) < 300_000


def test_all_three_say_the_same(run, written) -> None:
    retrain(run, ("trial 3", "trial", 0.8), ("LoRA", "baseline", 0.6))
    page, markdown, data = written()
    words = "".join(Page(page).words)
    for section in sections(gather(run)):
        assert section.title in words
        assert f"## {section.title}" in markdown
    assert data["best"] == 11
    assert data["retrained"]["configurations"][0]["test"]["accuracy"]["mean"] == pytest.approx(0.81)
    assert data["provenance"]["command"] == run.settings()["command"]
    for text in (words, markdown):
        assert "Take trial 3: at the full budget it is the search's best on validation data" in text
        assert "reaches a test accuracy of 0.8100, the mean of 3 seeds, with a 95% interval of 0.5749 to 1.0000" in text
        assert "The difference is significant from LoRA" in text
        assert "--trials 15" in text
        assert "data_dir = data (environment)" in text.replace("\\_", "_")
        assert "1 min 10 s" in text  # processor time: 14 times 5 s
        assert "12 complete, 1 stopped early, 1 waiting, 1 failed" in text


def test_without_retrained_results_the_report_is_whole_and_says_so(run, written) -> None:
    page, markdown, data = written()
    assert data["retrained"] is None
    assert "Retrained at the full budget" not in "".join(Page(page).words)
    assert "how far it would scatter is not known" in markdown
    assert "autopeft retrain trains the front at the full budget" in markdown


def test_a_trial_has_a_page_with_all_of_it(run, written) -> None:
    page, markdown, data = written()
    pages = dict(re.findall(r'<article id="(trial-\d+)"(.*?)</article>', page, re.DOTALL))
    assert len(pages) == 15
    one = "".join(Page(pages["trial-11"]).words)
    for words in ("on the Pareto front", "--pick best", "0.7200", "1,200 (1.2% of the model's)", "1,970", "--trial 11 --to script"):
        assert words in one
    assert f"It failed: out of memory in {HOSTILE}" in "".join(Page(pages["trial-12"]).words)
    assert "waiting at a rung" in pages["trial-14"]
    links = set(re.findall(r'href="#(trial-\d+)"', page))
    assert links == pages.keys()
    assert data["status"]["n_done"] == 15
    assert data["growth"]["steps"][-1]["hypervolume"] == 1.0
    assert "How the front grew" in markdown


def test_where_trials_are_confirmed_the_report_is_about_the_full_budget(run, written) -> None:
    run.write_settings({**run.settings(), "trivial_scores": {"accuracy": 0.5}, "examples": {"train": 90, "validation": 40}})
    study = Study.create(run, SpaceProblem(SPACE, OBJECTIVES, lambda _: {}), "random", 0)
    details = of_classes(np.array([0, 0, 1]), np.array([0, 1, 1]), ["yes", "no"])
    for number, accuracy in ((3, 0.85), (11, 0.86)):
        study.begin_confirmation(number)
        study.confirm(number, replace(measurement(accuracy, 100 * (number + 1)), final=FinalMeasurement(2.0)))
        run.write_trial(number, {f"confirmed/{name}": content for name, content in details_file(details).items()})
    page, markdown, data = written()
    words = "Take trial 3: its accuracy of 0.8500 lies within one standard error of 0.0570 on 40 validation examples from the best"
    assert words in "".join(Page(page).words)
    assert "Where to look first, measured at the full budget on validation data" in markdown
    assert (data["status"]["n_confirmed"], data["status"]["n_confirmations"]) == (2, 2)
    assert [one["name"] for one in data["references"]] == ["one answer for all"]
    assert data["details"].keys() == {"3", "11"}
    one, other = (re.search(rf'<article id="trial-{number}".*?</article>', page, re.DOTALL)[0] for number in (3, 10))
    assert "on the Pareto front of trials at the full budget" in one
    assert "0.5600" in one  # at low cost
    assert "the front is of trials that were trained at the full budget" in other


def test_scores_per_class_are_shown_of_the_trial_to_take(run, written) -> None:
    details = of_classes(np.array([0, 0, 1]), np.array([0, 1, 1]), [HOSTILE, "other"])
    for number in range(12):
        run.write_trial(number, details_file(details))
    page, markdown, data = written()
    section = re.search(r'<section id="mistakes".*?</section>', page, re.DOTALL)[0]
    assert "Confusion matrix" in section
    assert "--share: 50%" in section  # half of the first class was taken for the other
    assert HOSTILE in "".join(Page(section).words)
    assert "### Scores per class" in markdown
    assert data["details"]["0"][0]["rows"][1] == ["other", 1, 0.5, 1.0, 0.6667]
    run.write_trial(0, {"details.json": b"[{]"})
    assert gather(run).details[0] == ()


def test_a_run_that_has_only_begun_has_a_report(tmp_path) -> None:
    directory = RunDirectory.create(tmp_path / "run")
    directory.write_settings({"objectives": [vars(objective) for objective in OBJECTIVES]})
    study = Study.create(directory, SpaceProblem(SPACE, OBJECTIVES, lambda _: {}), "random", 0)
    study.ask()
    report: Report = gather(directory)
    page, markdown, data = write(report, tmp_path / "out", ["html", "md", "json"])
    assert "no front" in page.read_text()
    assert "1 configuration: 1 running" in markdown.read_text()
    assert json.loads(data.read_text())["trials"][0]["state"] == "running"


def test_an_unknown_format_is_refused_before_anything_is_written(run, tmp_path) -> None:
    with pytest.raises(UnknownNameError, match="report format"):
        write(gather(run), tmp_path / "out", ["html", "pdf"])
    assert not (tmp_path / "out").exists()


def test_notes_stand_apart_and_memory_has_a_unit(run, written) -> None:
    facts = {"data_notes": ["train: 30 examples", "2 labels"], "hardware": {"n_cores": 2, "memory_bytes": 25_276_502_020}}
    run.write_settings({**run.settings(), **facts})
    page, markdown, _ = written()
    assert "\n\ntrain: 30 examples.\n\n2 labels.\n\n" in markdown
    assert re.search(r"\| memory *\| 25,277 MB *\|", markdown)
    assert re.search(r">‹ Trial 0</a>.*>Trial 2 ›</a>", page)


def test_a_single_interval_is_drawn_with_both_its_ends(run, written) -> None:
    retrain(run, ("trial 3", "trial", 0.8))
    page, _, _ = written()
    picture = re.search(r'<svg[^>]*aria-label="test accuracy over trainable parameters, with intervals".*?</svg>', page, re.DOTALL)[0]
    assert len(re.findall(r'<line[^>]*class="interval front"', picture)) == 3
