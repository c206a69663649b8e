"""Counts of things, as people say them."""


def plural(number: int, what: str) -> str:
    """Write a number of things: "1 trial", "2 trials"."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
