"""Write docs/front.svg, the front of a run as a picture that stands alone and fits light and dark pages.

Run it from the repository's root: python -m docs.draw_front runs/demo
"""

import sys
from pathlib import Path
from string import Template
from xml.etree.ElementTree import Element, tostring

from autopeft.inference import CONFIDENCE
from autopeft.report import drawings
from autopeft.report.chart import svg, text
from autopeft.report.content import gather
from autopeft.report.markup import element
from autopeft.report.palette import DARK, LIGHT
from autopeft.report.picture import Picture
from autopeft.study.directory import RunDirectory

PAGE = Path(__file__).parent / "front.svg"
WIDTH, MARGIN, HEAD, FOOT = 820.0, 24.0, 76.0, 44.0
RULES = """
.paper { fill: $paper } text { font-family: system-ui, "DejaVu Sans", sans-serif; font-size: 12px; fill: $ink }
.title { font-size: 16px; font-weight: 600 } .note, .tick { fill: $soft }
.grid { stroke: $grid } .thin { stroke-width: 0.5 } .break { stroke: $dim; stroke-dasharray: 2 3 }
.stairs { fill: none; stroke: $front; stroke-width: 2 } .expected { fill: $front; opacity: 0.18 }
circle.front { fill: $front; stroke: $paper; stroke-width: 1.5 } circle.dominated { fill: none; stroke: $dim; stroke-width: 1.5 }
.label { fill: $front; font-weight: 600 }
"""


def style() -> Element:
    """Return the colours in full: not every viewer knows CSS variables."""
    light, dark = (Template(RULES).substitute(colors, soft=colors["soft-ink"]) for colors in (LIGHT, DARK))
    return element("style", f"{light}@media (prefers-color-scheme: dark) {{{dark}}}\n")


def drawn(picture: Picture) -> Element:
    """Return the chart with its words around it, on a paper of its own: what it is shown on may have any colour."""
    chart = drawings.front(picture, WIDTH)
    height = float(chart.attrib["height"])
    chart.attrib |= {"x": f"{MARGIN:g}", "y": f"{HEAD:g}"}
    legend = f"● Pareto front ({len(picture.front)}), with trial numbers · ○ dominated ({len(picture.dominated)})"
    if any(point.interval for point in picture.front):
        legend += f" · bars: where the mean over seeds is expected ({CONFIDENCE:.0%})"
    size = WIDTH + 2 * MARGIN, HEAD + height + FOOT
    words = [
        text(MARGIN, 28.0, picture.title, class_="title"),
        text(MARGIN, 48.0, picture.y_title, class_="note"),
        text(MARGIN, 68.0, legend, class_="note"),
        text(MARGIN + WIDTH / 2, HEAD + height + 20.0, picture.x_title, anchor="middle", class_="note"),
    ]
    whole = svg(*size, picture.title, [style(), element("rect", width=size[0], height=size[1], rx=8, class_="paper"), *words, chart])
    whole.set("xmlns", "http://www.w3.org/2000/svg")
    return whole


def main() -> None:
    picture = gather(RunDirectory.open(Path(sys.argv[1]))).picture
    assert picture is not None
    PAGE.write_text(tostring(drawn(picture), encoding="unicode") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
