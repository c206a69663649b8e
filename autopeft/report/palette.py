"""Colours that people with any colour vision tell apart (Okabe and Ito, 2008), shared by all plots."""

FRONT = "#0072B2"
DOMINATED = "#8C8C8C"
INK = "#222222"
SOFT_INK = "#666666"
GRID = "#E6E6E6"
BASELINE = "#D55E00"

LIGHT = {
    "paper": "#FFFFFF",
    "panel": "#F5F6F8",
    "ink": INK,
    "soft-ink": "#595959",
    "grid": GRID,
    "front": FRONT,
    "dim": "#767676",
    "baseline": "#BC5200",
}
"""By the name of a page's variable; text has a contrast of 4.5 and more to the paper, marks of 3 and more."""
DARK = {
    "paper": "#16181D",
    "panel": "#22252C",
    "ink": "#E8E8E8",
    "soft-ink": "#A8ADB5",
    "grid": "#353A43",
    "front": "#56B4E9",
    "dim": "#8E949E",
    "baseline": "#E69F00",
}
"""The same for people who prefer a dark page."""
METHODS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B58500", "#3A9BD6", "#8C8C8C")
"""One for each of several methods, each with a contrast of about 3 to both papers; beyond their number they repeat."""
