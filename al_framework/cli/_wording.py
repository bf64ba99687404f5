"""Numbers, sizes and times as a person reads them, and where they are printed."""

from datetime import UTC, datetime

from rich.console import Console

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return ``1 picture`` or ``1,204 pictures``."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def size(number: int) -> str:
    """Return a number of bytes in its largest fitting unit."""
    value, unit = float(number), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return counted(number, "byte") if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """Return how long something takes or has taken, in its largest fitting unit."""
    whole = max(0, int(seconds))
    for unit_s, name in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if whole >= 2 * unit_s:
            return f"{whole // unit_s} {name}"
    return f"{whole} s"


def moment(at: float) -> str:
    """Return UTC epoch seconds as a date."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def spent_limits(until: float) -> str:
    """Say what an index that was built anew has done to the limits."""
    return (
        "the index was built anew, so each window of a limit that was open then counts as spent,"
        f" the last until {moment(until)}"
    )


def kept_aside(number: int) -> str:
    """Say that something was found damaged."""
    files, are = counted(number, "damaged file"), "is" if number == 1 else "are"
    return f"{files} {are} kept to be looked at; al spool gc removes what is older than two weeks"


def visible(text: str) -> str:
    """Return text of others with whatever a terminal could obey written out."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def plain_console() -> Console:
    """Return a console that breaks lines for people only, so that others can search them."""
    console = Console(highlight=False, markup=False)
    console.soft_wrap = not console.is_terminal
    return console
