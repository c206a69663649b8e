"""The page that is served: only to who has its address, only to read, and up to date."""

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from autopeft.cli.main import app
from autopeft.errors import InvalidInputError
from autopeft.report import live
from autopeft.report.content import gather
from autopeft.report.live import LiveServer
from autopeft.report.writing import write
from autopeft.study.directory import RunDirectory
from tests.report.runs import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return make_run(tmp_path_factory.mktemp("live") / "run")


@pytest.fixture(scope="module")
def server(run: RunDirectory) -> Iterator[LiveServer]:
    with LiveServer(run) as found:
        thread = Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def ask(server: LiveServer, path: str | None = None, method: str = "GET", **headers: str) -> tuple[HTTPResponse, str]:
    connection = HTTPConnection(*server.server_address, timeout=60)
    path = server.path if path is None else path
    connection.request(method, path, headers={name.replace("_", "-"): one for name, one in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def test_the_page_is_the_report_and_says_if_it_is_new(server: LiveServer, run: RunDirectory, tmp_path: Path) -> None:
    answer, page = ask(server)
    assert answer.status == 200
    assert server.server_address[0] == "127.0.0.1"
    (file,) = write(gather(run), tmp_path, ["html"])
    sections = [re.findall(r"<section.*?</section>", text, re.DOTALL) for text in (page, file.read_text())]
    assert len(sections[0]) > 5
    assert sections[0][1:] == sections[1][1:]  # the first says the time
    again, nothing = ask(server, If_None_Match=answer.headers["ETag"])
    assert (again.status, nothing) == (304, "")
    head, nothing = ask(server, method="HEAD")
    assert (head.status, nothing) == (200, "")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_nobody_else_gets_in_and_nothing_can_be_written(server: LiveServer) -> None:
    for path in ("/", "/guessed/", server.path + "x", server.path + "../run.json", server.path[:-1]):
        assert ask(server, path)[0].status == 404
    assert ask(server, Host="attacker.example:80")[0].status == 404
    assert {ask(server, method=method)[0].status for method in ("POST", "PUT", "DELETE", "PATCH")} == {501}
    assert ask(server, "/favicon.ico")[0].status == 204  # an error there would stand on the browser's console
    assert len(server.path) > 20
    with LiveServer(server.page._run) as other:
        assert other.path != server.path


def test_a_change_makes_a_new_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "REST", 0.0)
    run = RunDirectory(tmp_path)
    page = live.LivePage(run)
    run.write_settings({"objectives": []})
    text, tag = page.read()
    assert b"no study.db yet" in text
    assert page.read() == (text, tag)
    made = make_run(tmp_path / "made")
    page = live.LivePage(made)
    first = page.read()
    made.write_settings({**made.settings(), "head_parameters": 12_345})
    assert b"12,345" in page.read()[0]
    assert page.read()[1] != first[1]


def test_watch_prints_the_address_and_ends_on_ctrl_c(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: LiveServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LiveServer, "serve_forever", interrupted)
    monkeypatch.setattr("autopeft.cli.stopping.heed_termination", lambda: None)
    found = CliRunner().invoke(app, ["watch", str(run.path)], catch_exceptions=False)
    assert found.exit_code == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{20,}/\n", found.stdout)


def test_a_port_that_is_taken_is_refused(server: LiveServer, run: RunDirectory) -> None:
    with pytest.raises(InvalidInputError, match="can't be used"):
        LiveServer(run, server.server_address[1])


def test_the_report_has_what_a_running_trial_has_learnt_so_far(run: RunDirectory) -> None:
    number = next(record.number for record in gather(run).leaderboard.running)
    path = run.trial_path(number) / "live.jsonl"
    path.parent.mkdir(exist_ok=True)
    rows = [{"progress": share, "examples_seen": 8, "train_loss": 1 - share, "metrics": {}} for share in (0.1, 0.2)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    try:
        curves = gather(run).learning_curves.curves
        assert [step.train_loss for curve in curves if curve.trial == number for step in curve.steps] == [0.9, 0.8]
        path.write_text(json.dumps(rows[0]) + '\n{"progr')
        assert not [curve for curve in gather(run).learning_curves.curves if curve.trial == number]
    finally:
        path.unlink()
