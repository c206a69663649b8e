"""Names beside the marks of a chart, where nothing covers them."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from autopeft.report.chart import Frame, text

NEAR = 7.0
"""From the middle of a mark to its name, in pixels: marks are about as large."""
NAME_WIDTH, NAME_HEIGHT = 8.0, 10.0
"""Of a bold letter, in pixels."""
SIDES = ((False, False), (True, False), (True, True), (False, True))
"""Where a name may stand, best first: right of its mark or left, below or above."""


def names(frame: Frame, wanted: Sequence[tuple[float, float, str, str]]) -> list[Element]:
    """Return names beside their places, on the first side where they touch no other name or place; those without room are left out.

    The rightmost and then the leftmost choose first.
    """
    places = [(x, y) for x, y, *_ in wanted]
    taken: list[_Box] = []
    found = []
    ordered = sorted(wanted)
    for x, y, words, class_ in (*ordered[-1:], *ordered[:-1]):
        others = [_Box(left - NEAR, left + NEAR, top - NEAR, top + NEAR) for left, top in places if (left, top) != (x, y)]
        sides = (_Box.beside(x, y, NAME_WIDTH * len(words), right, below) for right, below in SIDES)
        box = next((one for one in sides if one.is_in(frame) and not any(map(one.touches, (*taken, *others)))), None)
        if box is not None:
            taken.append(box)
            found.append(text(box.right, box.bottom, words, anchor="end", class_=class_))
    return found


@dataclass(frozen=True)
class _Box:
    """What a name or a mark covers, in pixels."""

    left: float
    right: float
    top: float
    bottom: float

    @classmethod
    def beside(cls, x: float, y: float, width: float, right: bool, below: bool) -> "_Box":
        """Return the box of a name on one of the four corners of a mark."""
        left = x + NEAR if right else x - NEAR - width
        bottom = y + NEAR + NAME_HEIGHT if below else y - NEAR
        return cls(left, left + width, bottom - NAME_HEIGHT, bottom)

    def touches(self, other: "_Box") -> bool:
        return self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom

    def is_in(self, frame: Frame) -> bool:
        return self.left >= frame.left and self.right <= frame.width and self.top >= 0 and self.bottom <= frame.height - frame.bottom
