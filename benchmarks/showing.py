"""How a number is written: with a unit that suits it, and digits that tell it from its limit."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

_MICRO, _MILLI = 1e6, 1e3
SMALL = 0.095  # below this a ratio reads better as one part in so many
_MOST_DIGITS = 3  # more than the others have

# Writes a number, with so many digits more than it needs.
Show: TypeAlias = Callable[[float, int], str]


def microseconds(value: float, extra: int = 0, /) -> str:
    """Return a time with a unit that suits it."""
    digits = 3 + extra
    for unit, scale in (("µs", 1.0), ("ms", _MILLI)):
        text = f"{value / scale:.{digits}g}"
        if float(text) < 1000:  # as it is written: 999.7 is no "1e+03 µs"
            return f"{text} {unit}"
    return f"{value / _MICRO:.{digits}g} s"


def part(ratio: float, extra: int = 0, /) -> str:
    """Return a ratio as ``1.2 x``, or as ``1/830`` where it is small."""
    if ratio > SMALL:
        return f"{ratio:.{2 + extra}f} x"
    return f"1/{1 / max(ratio, 1e-9):,.{extra}f}"


def times(ratio: float, extra: int = 0, /) -> str:
    """Return how many times better something is; what is worse, as a part."""
    return part(ratio, extra) if ratio < 0.95 else f"{ratio:,.{1 + extra}f} x"


def apart(value: float, limits: Iterable[float], show: Show) -> str:
    """Return a value with as many digits as tell it from its limits: 4.998 is not 5.

    Args:
        value: The value.
        limits: What it is compared with.
        show: How both are written.
    """
    others = [limit for limit in limits if limit != value]
    extra = 0
    while extra < _MOST_DIGITS and show(value, extra) in {show(one, extra) for one in others}:
        extra += 1
    return show(value, extra)
