"""Show strings and numbers that come from anywhere."""

import html
import unicodedata
from datetime import UTC, datetime

from al_framework_local.names import printable


def escaped(text: str) -> str:
    """Return the text for HTML content and quoted attributes, without disturbing characters."""
    return html.escape(printable(text), quote=True)


def cells(text: str) -> int:
    """Return how many columns a text takes in a fixed-width font."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def shortened(text: str, width: int) -> str:
    """Return the text cut to so many columns, with an ellipsis where something is missing."""
    if cells(text) <= width:
        return text
    while cells(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


def moment(seconds: float) -> str:
    """Return UTC epoch seconds as date and time."""
    try:
        return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s"  # beyond the calendar: somebody's clock was wrong


def number(value: float) -> str:
    """Return a number as short as a person wants it."""
    return f"{value:.3g}"


def counted(count: int, one: str, many: str = "") -> str:
    """Return ``1 frame`` or ``12 345 frames``."""
    return f"{grouped(count)} {one if count == 1 else many or one + 's'}"


def grouped(count: int) -> str:
    """Return a whole number with its digits in groups of three, kept on one line."""
    return f"{count:,}".replace(",", "\u202f")
