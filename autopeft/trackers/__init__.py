"""Experiment trackers, and what Python code can hear of a search: every trial a run, the search their parent."""

from autopeft.trackers.callback import Callback, TrackedSearch, TrackedTrial

__all__ = ["Callback", "TrackedSearch", "TrackedTrial"]
