"""Colours that people with any colour vision tell apart (Okabe and Ito, 2008), shared by all plots."""

FRONT = "#0072B2"
DOMINATED = "#8C8C8C"
INK = "#222222"
SOFT_INK = "#666666"
GRID = "#E6E6E6"
