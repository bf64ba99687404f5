"""Give each class a colour that stays apart from the others', for colour-blind eyes too.

Source: Okabe and Ito, «Color Universal Design», 2008, without black.
"""

from collections import Counter

_COLORS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
_DARK = frozenset({"#0072b2"})  # the others are lighter than they look
_DASHES = ("", "7 3", "2 3")


class Palette:
    """The colours of a page's classes; the most frequent ones are told apart best.

    Args:
        counts: How often each class appears on the page.
    """

    def __init__(self, counts: Counter[str]) -> None:
        ordered = sorted(counts, key=lambda name: (-counts[name], name))
        self._place = {name: place for place, name in enumerate(ordered)}

    def color(self, name: str) -> str:
        """Return the class's colour."""
        return _COLORS[self._place.get(name, 0) % len(_COLORS)]

    def ink(self, name: str) -> str:
        """Return the colour of text that is readable on the class's colour."""
        return "#fff" if self.color(name) in _DARK else "#111"

    def dash(self, name: str) -> str:
        """Return the line's dashes: further rounds through the colours differ by them."""
        return _DASHES[self._place.get(name, 0) // len(_COLORS) % len(_DASHES)]
