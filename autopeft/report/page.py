"""The Pareto plot as a page to explore, by plotly: one HTML file that needs no network."""

import math
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from string import Template

import plotly.graph_objects as go

from autopeft.report.method_marks import colors, key, slices
from autopeft.report.palette import DOMINATED, FRONT, GRID, INK, LIGHT, SOFT_INK
from autopeft.report.picture import Picture, Point

PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>body { margin: 0 auto; max-width: 1100px; padding: 1rem; font-family: system-ui, sans-serif; color: $ink }
h1 { font-size: 1.2rem; margin: 0 } p { font-size: 0.85rem; color: $soft_ink; margin: 0.3rem 0 }
.scrolls { overflow-x: auto } .plot { min-width: 40rem }</style>
</head>
<body>
<main>
<h1>$title</h1>
<p>$subtitle</p>
<div class="scrolls" tabindex="0" role="region" aria-label="$title"><div class="plot">
$plot
</div></div>
</main>
</body>
</html>
"""
)


_CORNERS = 24
"""Of a slice's rim."""


def write_page(picture: Picture, path: Path) -> None:
    """Write the plot with plotly's own code inside, so that the file opens anywhere."""
    plot = make_figure(picture).to_html(
        full_html=False, include_plotlyjs=True, div_id="pareto", config={"displaylogo": False, "responsive": True}
    )
    title, subtitle = escape(picture.title), escape(picture.subtitle)
    path.write_text(PAGE.substitute(title=title, subtitle=subtitle, plot=plot, ink=INK, soft_ink=SOFT_INK), encoding="utf-8")


def make_figure(picture: Picture) -> go.Figure:
    """Return the plot, to be looked at in a notebook or written into a page."""
    figure = go.Figure()
    front, others = picture.names
    color = colors(picture.methods)
    discs = ((picture.dominated, 4.5, 0.7), (picture.front, 6.0, 1.0))
    figure.update_layout(shapes=[part for points, *look in discs for point in points for part in _disc(point, color, *look)])
    figure.add_scatter(**_columns(picture.dominated), name=f"{others} ({len(picture.dominated)})", marker=_ring(DOMINATED, 9, 0.5))
    stairs_x, stairs_y = zip(*picture.stairs, strict=True)
    figure.add_scatter(x=stairs_x, y=stairs_y, mode="lines", line={"color": FRONT, "width": 2}, hoverinfo="skip", showlegend=False)
    numbers = {"text": [f"#{point.trial}" for point in picture.front], "textposition": "top left", "textfont": {"color": FRONT}}
    shown = _columns(picture.front) | numbers | {"mode": "markers+text"}
    figure.add_scatter(**shown, name=f"{front} ({len(picture.front)})", marker=_ring(INK, 13, 2))
    for name, words in key(picture.methods):
        figure.add_scatter(x=[None], y=[None], mode="markers", name=words, marker={"color": LIGHT[name], "size": 11}, hoverinfo="skip")
    ticks = picture.axis.ticks
    line = {"gridcolor": GRID, "gridwidth": 1, "zeroline": False, "linecolor": SOFT_INK}
    figure.update_xaxes(
        title=escape(picture.x_title),
        range=picture.axis.limits,
        tickvals=[tick.position for tick in ticks],
        ticktext=[f"{tick.label}<br>{tick.detail}" for tick in ticks],
        minor={"tickvals": picture.axis.minor, "showgrid": True, "gridcolor": GRID, "gridwidth": 0.5},
        **line,
    )
    if picture.axis.break_position is not None:
        figure.add_vline(picture.axis.break_position, line={"color": DOMINATED, "width": 1, "dash": "dot"}, layer="below")
    figure.update_yaxes(title=escape(picture.y_title), range=picture.y_limits, **line)
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    margin = {"l": 70, "r": 20, "t": 40, "b": 80}
    figure.update_layout(height=620, plot_bgcolor="white", font_color=INK, hoverlabel={"align": "left"}, legend=legend, margin=margin)
    return figure


def _columns(points: tuple[Point, ...]) -> dict[str, object]:
    return {
        "x": [point.x for point in points],
        "y": [point.y for point in points],
        # Hover texts are a small HTML of plotly's: what others wrote must not become tags or links.
        "customdata": ["<br>".join(map(escape, point.lines)) for point in points],
        "mode": "markers",
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _ring(color: str, size: float, width: float) -> dict[str, object]:
    return {"color": "rgba(0,0,0,0)", "size": size, "line": {"color": color, "width": width}}


def _disc(point: Point, colors: Mapping[str, str], radius: float, opacity: float) -> Iterator[dict[str, object]]:
    """Yield the slices of a trial's disc, one a method, of so many pixels whatever the zoom; polygons, as plotly has no arcs."""
    n = len(point.methods)
    for (begin, end), method in zip(slices(n), point.methods, strict=True):
        turns = [2 * math.pi * (begin + (end - begin) * step / _CORNERS) for step in range(_CORNERS + 1)]
        corners = [f"{radius * math.sin(turn):.2f},{radius * math.cos(turn):.2f}" for turn in turns]
        yield {
            "type": "path",
            "path": "M" + " L".join(corners if n == 1 else ["0,0", *corners]) + " Z",
            "xsizemode": "pixel",
            "ysizemode": "pixel",
            "xanchor": point.x,
            "yanchor": point.y,
            "fillcolor": LIGHT[colors[method]],
            "opacity": opacity,
            "line": {"width": 0},
            "layer": "between",
        }
