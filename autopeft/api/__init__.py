"""The public Python interface: a search and what comes of it."""

from autopeft.api.progress import Silent, SilentSearch
from autopeft.api.result import SearchResult
from autopeft.api.searching import resume, search

__all__ = ["SearchResult", "Silent", "SilentSearch", "resume", "search"]
