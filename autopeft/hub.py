"""Asks the Hugging Face hub one question under a deadline.

Without a route to the hub its clients try for the better part of a minute, and for many minutes where something accepts the connection
and never answers. One question with a limit decides whether it is worth going on.
"""

import queue
import threading
from typing import Literal

from autopeft.errors import in_one_line

REQUEST_SECONDS = 3.0
"""How long each network operation of the question may take."""
DEADLINE_SECONDS = 3.5
"""How long the question as a whole may take: name resolution knows no time limit of its own."""


def is_switched_off() -> bool:
    """Return whether HF_HUB_OFFLINE forbids asking."""
    from huggingface_hub.constants import is_offline_mode

    return bool(is_offline_mode())


def why_unreachable(repository: str, kind: Literal["model", "dataset"]) -> str:
    """Return in a few words why the hub doesn't answer for a repository; empty if it does.

    Args:
        repository: Its id, such as "nyu-mll/glue".
        kind: What it holds.
    """
    from huggingface_hub import HfApi

    answers: queue.SimpleQueue[str] = queue.SimpleQueue()

    def ask() -> None:
        try:
            HfApi().repo_info(repository, repo_type=kind, timeout=REQUEST_SECONDS)
            answers.put("")
        except Exception as error:  # the hub client lets the errors of several libraries through
            answers.put(in_one_line(error))

    # A daemon, so that a request that hangs doesn't keep the process alive.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=DEADLINE_SECONDS)
    except queue.Empty:
        return f"no answer within {DEADLINE_SECONDS} seconds"
