"""What ends a verb that works for hours, besides its own end."""

import signal


def heed_termination() -> None:
    """From here on let SIGTERM end this process as Ctrl-C does: a machine that is taken away says so first."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(signal_number: int, frame: object) -> None:
    raise KeyboardInterrupt
