"""Pieces of the texts that exports carry."""

from collections.abc import Mapping


def metric_lines(metrics: Mapping[str, float]) -> str:
    """Return metrics as rows of a Markdown table, with every digit: they are there to be compared with."""
    return "\n".join(f"| {name} | {value!r} |" for name, value in metrics.items())
