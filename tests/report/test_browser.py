"""The page in a real browser: needs the package playwright and a Chromium on the machine (skipped, saying so, without).

What axe-core finds needs axe-core too: `npm install axe-core` in the checkout, or the variable AXE with the path of its axe.min.js.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from autopeft.report import live
from autopeft.report.content import gather
from autopeft.report.files import plot_run
from autopeft.report.live import LiveServer
from autopeft.report.writing import write
from autopeft.study.directory import RunDirectory
from tests.report.runs import make_run

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium; the variable CHROMIUM may say where it is")
AXE = Path(os.environ.get("AXE") or Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE, DESK = 390, 1280


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as found:
        yield found.chromium.launch(executable_path=CHROMIUM, args=QUIET)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("browser")
    (path,) = write(gather(make_run(folder / "run")), folder, ["html"])
    return path.as_uri()


@contextmanager
def opened(browser: Any, address: str, width: int = DESK, **options: Any) -> Iterator[Any]:
    """Open a page, and see to it that nothing is said on its console and nothing asked for from elsewhere."""
    context = browser.new_context(viewport={"width": width, "height": 800}, **options)
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(address.split("#")[0]) else troubles.append(request.url))
    page.goto(address)
    yield page
    context.close()
    assert troubles == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESK, PHONE])
def test_it_fits_and_wide_tables_scroll_by_themselves(browser: Any, file: str, width: int, scheme: str) -> None:
    with opened(browser, file, width, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, paper[4:-1].split(","))) < 382) == (scheme == "dark")
        drawing = page.locator("#front .narrow svg" if width == PHONE else "#front .wide svg")
        assert drawing.is_visible()
        box = page.locator("#front .box")
        inner, outer = (box.evaluate(f"one => one.{name}Width") for name in ("scroll", "client"))
        assert (inner > outer) == (width == PHONE)
        assert "gradient" in box.evaluate("one => getComputedStyle(one).backgroundImage")  # the cue
        page.goto(f"{file}#trial-1")
        assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm install axe-core, or AXE=PATH of its axe.min.js")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_keeps_people_out(browser: Any, file: str, scheme: str) -> None:
    folder = Path(file.removeprefix("file://")).parent
    plot, *_ = plot_run(RunDirectory.open(folder / "run"), folder, ["html"])
    for address in (file, f"{file}#trial-1", plot.as_uri()):
        for width in (DESK, PHONE):
            with opened(browser, address, width, color_scheme=scheme, bypass_csp=True) as page:
                page.evaluate(AXE.read_text(encoding="utf-8"))
                found = page.evaluate("axe.run()")["violations"]
                assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_tables_sort_by_any_column_with_the_mouse_and_the_keyboard(browser: Any, file: str) -> None:
    with opened(browser, file) as page:
        table = page.locator("#front table")
        column = [head.strip() for head in table.locator("th").all_inner_texts()].index("accuracy")
        button = table.locator("th button").nth(column)

        def values() -> list[float]:
            return [float(row.locator("td").nth(column).inner_text()) for row in table.locator("tbody tr").all()]

        before = values()
        button.click()
        assert values() == sorted(before, reverse=True)
        assert table.locator("th").nth(column).get_attribute("aria-sort") == "descending"
        button.press("Enter")
        assert values() == sorted(before)
        assert table.locator("[aria-sort]").count() == 1


def test_a_point_leads_to_its_trial_and_back(browser: Any, file: str) -> None:
    with opened(browser, file) as page:
        mark = page.locator("#front .wide a.mark.front").first
        name = mark.get_attribute("href").removeprefix("#")
        mark.scroll_into_view_if_needed()
        place = page.evaluate("scrollY")
        mark.hover()
        assert name.replace("-", " ") in page.locator("#tip").inner_text()
        mark.click()
        assert page.locator(f"#{name}").is_visible()
        assert not page.locator("#summary").is_visible()
        assert page.evaluate("document.activeElement.tagName") == "H2"
        page.keyboard.press("Escape")
        assert page.locator("#summary").is_visible()
        assert page.evaluate("scrollY") == place
        mark.focus()
        page.keyboard.press("Enter")
        assert page.locator(f"#{name}").is_visible()
        page.go_back()
        assert page.locator("#summary").is_visible()


def test_without_its_script_a_trial_has_its_page_too(browser: Any, file: str) -> None:
    with opened(browser, f"{file}#trial-1", java_script_enabled=False) as page:
        assert page.locator("#trial-1").is_visible()
        assert not page.locator("#summary").is_visible()
        assert not page.locator("#trial-2").is_visible()


def test_on_touch_the_first_tap_says_what_a_point_is(browser: Any, file: str) -> None:
    with opened(browser, file, PHONE, has_touch=True, is_mobile=True) as page:
        mark = page.locator("#front .narrow a.mark.front").last
        mark.tap()
        tip = page.locator("#tip")
        assert "accuracy" in tip.inner_text()
        assert page.locator("#summary").is_visible()
        left, right = tip.evaluate("one => [one.getBoundingClientRect().left, one.getBoundingClientRect().right]")
        assert left >= 0
        assert right <= PHONE
        tip.locator("a").tap()
        assert page.locator(mark.get_attribute("href")).is_visible()


def test_it_keeps_up_with_the_run_and_keeps_what_was_opened(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SECONDS", 0.1)
    monkeypatch.setattr(live, "REST", 0.0)
    run = make_run(tmp_path / "run")
    with LiveServer(run) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        context = browser.new_context(viewport={"width": DESK, "height": 800})
        page = context.new_page()
        page.goto(server.address)
        assert page.title().startswith("(16/24)")
        details = page.locator("#layers details")
        details.locator("summary").click()
        page.locator("#front th button").first.click()
        order = page.locator("#front tbody td:first-child").all_inner_texts()
        run.write_settings({**run.settings(), "head_parameters": 54_321, "settings": {"trials": {"value": 40, "source": "flag"}}})
        page.get_by_text("its 54,321 parameters").first.wait_for()
        assert page.title().startswith("(16/40)")
        assert details.get_attribute("open") is not None
        assert page.locator("#front tbody td:first-child").all_inner_texts() == order
        assert page.locator("#connection").inner_text() == ""
        server.shutdown()
        thread.join()
    page.get_by_text("The connection is lost").wait_for()
    context.close()
