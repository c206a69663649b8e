"""What ends a verb that works for hours, besides its own end."""

import signal

_SIGNALS = ("SIGTERM", "SIGHUP")
"""A machine that is taken away says so first, and so does a terminal that is closed; some systems lack the latter."""


def heed_termination() -> None:
    """From here on let a signal to end do what Ctrl-C does, unless whoever started this process had it ignored, as nohup does."""
    for name in _SIGNALS:
        if (number := getattr(signal, name, None)) is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(signal_number: int, frame: object) -> None:
    raise KeyboardInterrupt
