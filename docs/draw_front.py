"""Write docs/front.svg, the front of a run as a picture that stands alone and fits light and dark pages.

Run it from the repository's root: python -m docs.draw_front runs/demo
"""

import sys
from pathlib import Path
from string import Template
from xml.etree.ElementTree import Element, tostring

from autopeft.inference import CONFIDENCE
from autopeft.report import drawings
from autopeft.report.chart import LETTER_WIDTH, svg, text
from autopeft.report.content import gather
from autopeft.report.formatting import in_words
from autopeft.report.markup import element
from autopeft.report.method_marks import colors
from autopeft.report.palette import DARK, LIGHT, N_METHODS
from autopeft.report.picture import Picture
from autopeft.study.directory import RunDirectory

PAGE = Path(__file__).parent / "front.svg"
WIDTH, MARGIN, HEAD, FOOT = 820.0, 24.0, 96.0, 44.0
RULES = """
.paper { fill: $paper } text { font-family: system-ui, "DejaVu Sans", sans-serif; font-size: 12px; fill: $ink }
.title { font-size: 16px; font-weight: 600 } .note, .tick { fill: $soft }
.grid { stroke: $grid } .thin { stroke-width: 0.5 } .break { stroke: $dim; stroke-dasharray: 2 3 }
.stairs { fill: none; stroke: $front; stroke-width: 2 } .expected { fill: $front; opacity: 0.18 }
.disc { stroke: $paper; stroke-width: 1 } .ring { fill: none } .empty { fill: $paper } .reach { fill: none } .dominated { opacity: 0.7 }
.front .disc { stroke: $ink; stroke-width: 2 } .label { font-weight: 600 } .label.front { fill: $front } .label.baseline { fill: $baseline }
.reference { stroke: $baseline; stroke-dasharray: 6 4 }
"""
RULES += " ".join(f".m{place} {{ fill: $m{place} }}" for place in range(N_METHODS + 1))
LEGEND_STEP = 20.0


def style() -> Element:
    """Return the colours in full: not every viewer knows CSS variables."""
    light, dark = (Template(RULES).substitute(colors, soft=colors["soft-ink"]) for colors in (LIGHT, DARK))
    return element("style", f"{light}@media (prefers-color-scheme: dark) {{{dark}}}\n")


def drawn(picture: Picture) -> Element:
    """Return the chart with its words around it, on a paper of its own: what it is shown on may have any colour."""
    chart = drawings.front(picture, WIDTH)
    height = float(chart.attrib["height"])
    chart.attrib |= {"x": f"{MARGIN:g}", "y": f"{HEAD:g}"}
    front, others = picture.names
    legend = f"ringed: {front} ({len(picture.front)}), with trial numbers · small: {others} ({len(picture.dominated)})"
    if any(point.interval for point in picture.front):
        legend += f" · bars: where the mean over seeds is expected ({CONFIDENCE:.0%})"
    size = WIDTH + 2 * MARGIN, HEAD + height + FOOT
    words = [
        text(MARGIN, 28.0, picture.title, class_="title"),
        text(MARGIN, 48.0, picture.y_title, class_="note"),
        text(MARGIN, 68.0, legend, class_="note"),
        *_methods(picture),
        text(MARGIN + WIDTH / 2, HEAD + height + 20.0, picture.x_title, anchor="middle", class_="note"),
    ]
    whole = svg(*size, picture.title, [style(), element("rect", width=size[0], height=size[1], rx=8, class_="paper"), *words, chart])
    whole.set("xmlns", "http://www.w3.org/2000/svg")
    return whole


def _methods(picture: Picture) -> list[Element]:
    """Return the colours of methods with their names, side by side."""
    found, x = [], MARGIN
    for name, class_ in list(colors(picture.methods).items())[: N_METHODS + 1]:
        words = in_words(name) if class_ != f"m{N_METHODS}" else "others"
        found += [element("circle", cx=x + 6, cy=84.0, r=5.0, class_=class_), text(x + 16, 88.0, words, class_="note")]
        x += LEGEND_STEP + 6 + LETTER_WIDTH * len(words)
    return found


def main() -> None:
    picture = gather(RunDirectory.open(Path(sys.argv[1]))).picture
    assert picture is not None
    PAGE.write_text(tostring(drawn(picture), encoding="unicode") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
