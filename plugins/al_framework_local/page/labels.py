"""Place labels on a drawing so that none covers another.

A label that finds no free place is left out: the card lists every class below the picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from al_framework_local.names import printable
from al_framework_local.page.palette import Palette
from al_framework_local.page.text import cells, escaped, shortened

_FONT, _LINE, _PADDING = 11.5, 15.0, 3.0
# Fixed-width fonts are .6 em wide nearly without exception, so the plate fits without measuring.
_ADVANCE = 0.605 * _FONT
_MAX_CELLS = 20
# More plates than these hide the picture that they are about.
_MAX_LABELS = 12

_Area = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What to write about one object.

    Attributes:
        name: Its class.
        score: Its confidence.
        box: Left, top, right, bottom in the drawing.
    """

    name: str
    score: float
    box: _Area


def placed(
    labels: Sequence[Label], palette: Palette, *, width: float, height: float
) -> Iterator[str]:
    """Yield an SVG element for each label that has a place, the first ones first."""
    taken: list[_Area] = []
    for label in labels:
        if len(taken) == _MAX_LABELS:
            return
        text = f"{shortened(printable(label.name), _MAX_CELLS)} {label.score:.2f}"
        size = (cells(text) * _ADVANCE + 2 * _PADDING, _LINE)
        area = _free(label.box, size, taken, (width, height))
        if area is not None:
            taken.append(area)
            yield _element(label, text, area, palette)


def _free(
    box: _Area, size: tuple[float, float], taken: Sequence[_Area], frame: tuple[float, float]
) -> _Area | None:
    width, height = size
    left, top, right, bottom = box
    heights = (top - height, top, bottom, bottom - height)  # above, inside, below, inside
    for y in heights:
        for x in (left, right - width):
            x0 = min(max(x, 0.0), frame[0] - width)
            area = (x0, y, x0 + width, y + height)
            inside = y >= 0.0 and y + height <= frame[1]
            if inside and not any(_overlap(area, other) for other in taken):
                return area
    return None


def _overlap(a: _Area, b: _Area) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _element(label: Label, text: str, area: _Area, palette: Palette) -> str:
    left, top, right, bottom = area
    color, ink = palette.color(label.name), palette.ink(label.name)
    return (
        f'<g class="label"><rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{bottom - top:.1f}" rx="2" fill="{color}"/>'
        f'<text x="{left + _PADDING:.1f}" y="{bottom - 4.2:.1f}" fill="{ink}">'
        f"{escaped(text)}</text></g>"
    )
