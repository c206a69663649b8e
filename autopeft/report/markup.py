"""Building HTML and SVG as trees: what users wrote becomes text, whatever it holds."""

from collections.abc import Iterable
from xml.etree.ElementTree import Element, tostring


def element(tag: str, *children: "Element | str | Iterable[Element]", **attributes: object) -> Element:
    """Return an element; of an attribute's name a last "_" goes and the others become "-": class_, stroke_width."""
    found = Element(tag, {name.rstrip("_").replace("_", "-"): _written(value) for name, value in attributes.items() if value is not None})
    for child in children:
        if isinstance(child, str):
            _append_text(found, child)
        elif isinstance(child, Element):
            found.append(child)
        else:
            found.extend(child)
    return found


def to_html(root: Element) -> str:
    """Return a page's text."""
    return "<!DOCTYPE html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def _append_text(found: Element, text: str) -> None:
    if len(found):
        found[-1].tail = (found[-1].tail or "") + text
    else:
        found.text = (found.text or "") + text


def _written(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
