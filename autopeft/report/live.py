"""A report that keeps up with its run, served to a browser on this machine alone.

The address holds a token that nobody can guess: other users of the machine, and pages of other sites in the same browser, don't get in.
There is one page to read and nothing to write.
"""

import hashlib
import secrets
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

from autopeft.errors import AutopeftError, InvalidInputError
from autopeft.report.content import gather
from autopeft.report.html import SCRIPT, policy
from autopeft.report.writing import to_live_page, to_waiting_page
from autopeft.study.directory import RunDirectory
from autopeft.study.lock import driver

HOST = "127.0.0.1"
SECONDS = 2.0
"""How often a page looks whether there is a new one."""
REST = 20.0
"""How much longer than making a page took it rests: whoever looks on must not slow the search down."""
_WATCHED = (
    *("run.json", "study.db", "driver.json"),
    *("trials/*/live.jsonl", "retrained/*/seed-*/result.json", "transferred/*/*/seed-*/result.json", "baselines/*/study.db"),
)
"""What a page is made of changes when one of these does."""


class LivePage:
    """A run's page, made anew when the run has changed."""

    def __init__(self, run: RunDirectory) -> None:
        self._run, self._lock = run, Lock()
        self._seen: tuple[Any, ...] = ()
        self._not_before = 0.0
        self._page, self._tag = b"", ""

    def read(self) -> tuple[bytes, str]:
        """Return the page, and a tag that differs if the page does."""
        with self._lock:
            began = time.monotonic()
            if began < self._not_before:
                return self._page, self._tag
            seen = (driver(self._run), *_stamps(self._run.path))
            if seen != self._seen:
                self._page = self._made().encode("utf-8", errors="backslashreplace")
                self._tag = f'"{hashlib.sha256(self._page).hexdigest()[:32]}"'
                self._seen = seen
            ended = time.monotonic()
            self._not_before = ended + REST * (ended - began)
            return self._page, self._tag

    def _made(self) -> str:
        try:
            return to_live_page(gather(self._run), SECONDS)
        except AutopeftError as error:  # as before the first trial, or while a file is being written
            return to_waiting_page(self._run.path.name, str(error), SECONDS)


class LiveServer(ThreadingHTTPServer):
    """Serves a run's page on the loopback interface.

    Args:
        run: The run.
        port: Where; 0: any that is free.

    Raises:
        InvalidInputError: The port is taken, or may not be used.
    """

    daemon_threads = True

    def __init__(self, run: RunDirectory, port: int = 0) -> None:
        self.page, self.path = LivePage(run), f"/{secrets.token_urlsafe(16)}/"
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise InvalidInputError(f"port {port} can't be used: {error.strerror}", value=port, remedy="Give another --port.") from None

    @property
    def hosts(self) -> set[str]:
        """What a browser of this machine calls it; a page of another site that has a name of its own lead here calls it otherwise."""
        return {f"{name}:{self.server_address[1]}" for name in (HOST, "localhost")}

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_address[1]}{self.path}"


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD of the one page."""

    server: LiveServer
    server_version, sys_version = "autopeft", ""

    def do_GET(self) -> None:
        """Send the page, or nothing if the browser has it."""
        if self.path == "/favicon.ico":  # browsers ask for it of themselves, and say on their console that it isn't there
            self._answer(HTTPStatus.NO_CONTENT)
            return
        if self.headers.get("Host") not in self.server.hosts or not secrets.compare_digest(self.path.encode(), self.server.path.encode()):
            self._answer(HTTPStatus.NOT_FOUND)
            return
        page, tag = self.server.page.read()
        if self.headers.get("If-None-Match") == tag:
            self._answer(HTTPStatus.NOT_MODIFIED, tag=tag)
        else:
            self._answer(HTTPStatus.OK, page, tag)

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, status: HTTPStatus, content: bytes = b"", tag: str = "") -> None:
        self.send_response(status)
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": policy(SCRIPT.read_text(encoding="utf-8"), live=True) + "; frame-ancestors 'none'",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        for name, value in (headers | ({"ETag": tag} if tag else {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep quiet: a page asks every few seconds."""


def _stamps(path: Path) -> Iterator[tuple[str, int, int]]:
    """Yield the name, time and size of all that a page is made of."""
    for pattern in _WATCHED:
        for file in sorted(path.glob(pattern)):
            try:
                found = file.stat()
            except OSError:  # it went away
                continue
            yield str(file), found.st_mtime_ns, found.st_size
