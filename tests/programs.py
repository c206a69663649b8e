"""Programs run as a user runs them: in this interpreter, where everything is loaded already, or in a fresh one."""

import gc
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from unittest.mock import patch

TIMEOUT_SECONDS = 300
"""After which a process is given up."""


@dataclass(frozen=True)
class Answer:
    """What a program left behind."""

    code: int
    out: str
    err: str
    cpu_seconds: float
    """Processor time, which other programs on the machine don't lengthen. Of a fresh interpreter, with all that it had to import."""


def run_here(program: Callable[[], object], *arguments: object, folder: Path | None = None, **environment: str) -> Answer:
    """Run a program in this interpreter and return what a process of its own would have left behind.

    Args:
        program: Its entry point.
        arguments: Its command line.
        folder: Its working directory; None is this one's.
        environment: Variables set for it beside the present ones.
    """
    out, err = (TextIOWrapper(BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    began = time.process_time()
    with _as_a_process(list(map(str, arguments)), folder, environment), redirect_stdout(out), redirect_stderr(err):
        code = _exit_code(program)
    return Answer(code, *(stream.buffer.getvalue().decode() for stream in (out, err)), time.process_time() - began)  # type: ignore[attr-defined]


def run_script_here(script: Path, *arguments: object, folder: Path | None = None, **environment: str) -> Answer:
    """Run a file in this interpreter as `python FILE` does: as `__main__`, with its folder first in the path of imports."""

    def program() -> None:
        sys.path.insert(0, str(script.parent))
        runpy.run_path(str(script), run_name="__main__")

    return run_here(program, *arguments, folder=folder, **environment)


def run_fresh(*arguments: object, folder: Path | None = None, **environment: str) -> Answer:
    """Run `python` with some arguments in a process of its own."""
    before = os.times()
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
    )
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Answer(done.returncode, done.stdout, done.stderr, spent)


@contextmanager
def signalled(sent: signal.Signals, when: Callable[[], bool]) -> Iterator[None]:
    """Send this process a signal as soon as something holds, which a program run here meanwhile must bring about."""
    over = threading.Event()
    # Python drops what is raised in a callback of the garbage collector, and Hypothesis leaves one behind.
    callbacks, gc.callbacks[:] = list(gc.callbacks), []

    def watch() -> None:
        while not over.wait(0.02):
            if when():
                os.kill(os.getpid(), sent)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        gc.callbacks[:] = callbacks


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something holds that another process must bring about."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "nothing happens"
        time.sleep(0.05)


@contextmanager
def interruptible(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """Start `python` with some arguments, in a process that Ctrl-C reaches, and end it at the latest with the block."""
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background has Ctrl-C switched off, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def _as_a_process(arguments: list[str], folder: Path | None, environment: dict[str, str]) -> Iterator[None]:
    """Lend the program what belongs to a process, and take it back."""
    handlers = {signal.SIGTERM: _unheeded, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        with ExitStack() as lent:
            lent.enter_context(patch.object(sys, "argv", ["program", *arguments]))
            lent.enter_context(patch.object(sys, "path", list(sys.path)))
            lent.enter_context(patch.dict(os.environ, environment))
            if folder is not None:
                lent.enter_context(chdir(folder))
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _unheeded(signal_number: int, frame: object) -> None:
    raise RuntimeError("the program was terminated, and had not said what to do then")


def _exit_code(program: Callable[[], object]) -> int:
    """Run a program and return the code that its interpreter would have ended with, having printed what that would have printed."""
    try:
        program()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        return 130
    except Exception:
        traceback.print_exc()
        return 1
    return 0
