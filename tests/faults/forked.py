"""The command line in a process forked from one that has imported the libraries, which takes a process of its own ten seconds."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from tempfile import NamedTemporaryFile

_SERVER = multiprocessing.get_context("forkserver")
# Not Ray: forked is what has neither threads nor connections.
_SERVER.set_forkserver_preload(
    [
        *("autopeft.cli.main", "autopeft.loops.search", "autopeft.report.progress", "autopeft.samplers.expectation"),
        *("autopeft.methods.weight", "autopeft.training.runner", "transformers.models.bert.modeling_bert", "alembic.command"),
    ]
)


class Forked:
    """A process with what `subprocess.Popen` has of methods that the tests use.

    Args:
        arguments: What follows `autopeft` on the command line.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._output = NamedTemporaryFile(mode="r")  # noqa: SIM115 - it is read when the process has ended
        self._process: ForkServerProcess = _SERVER.Process(target=_run, args=(list(arguments), dict(os.environ), self._output.name))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None, "it is started"
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Wait for the process to end and return what it printed."""
        self._process.join(timeout)
        assert self.returncode is not None, "it doesn't end"
        with self._output:
            return self._output.read(), None

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def _run(arguments: list[str], environment: dict[str, str], output: str) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, which may have started the tests, has it ignored
    os.environ.clear()
    os.environ.update(environment)
    with open(output, "w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.argv = ["autopeft", *arguments]
    from autopeft.cli.main import main

    main()
