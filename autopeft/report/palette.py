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
    "shade": "#00000033",
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
    "shade": "#000000B0",
}
"""The same for people who prefer a dark page."""
N_METHODS = 7
"""Methods that have a colour of their own; all others share one, the last. Letters of the paper's colour on them have a contrast of 4.5."""
LIGHT |= {
    "m0": "#0072B2",
    "m1": "#B84E00",
    "m2": "#007A5A",
    "m3": "#B0508A",
    "m4": "#7A5F00",
    "m5": "#6A3D9A",
    "m6": "#7A4A2A",
    "m7": "#6F6F6F",
}
DARK |= {
    "m0": "#56B4E9",
    "m1": "#F28E3D",
    "m2": "#2CC597",
    "m3": "#E6A0C8",
    "m4": "#E6C229",
    "m5": "#B79CF0",
    "m6": "#C99A78",
    "m7": "#9AA0A8",
}
