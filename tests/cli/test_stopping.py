"""Signals that end a verb as Ctrl-C does."""

import signal
from collections.abc import Iterator

import pytest

from autopeft.cli.stopping import heed_termination

SIGNALS = [signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_to_end_interrupts(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    heed_termination()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_nohup_ignores_stays_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    heed_termination()
    assert signal.getsignal(number) == signal.SIG_IGN
