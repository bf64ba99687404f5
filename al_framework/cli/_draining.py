"""Wait for deliveries as long as it makes sense."""

import threading
from collections.abc import Callable, Mapping

from al_framework.api import Clock, SinkCounts, SinkHealth
from al_framework.assembly.health import without_names
from al_framework.cli._wording import moment
from al_framework.config.models import Configuration

# A sink that makes no headway for this long will not finish soon; what waits is safe on disk.
STALLED_S = 30.0
POLL_S = 0.1

_WORDS = {"waiting": "waiting", "open": "down", "half_open": "being tried", "paused": "paused"}


def watch_for_stall(
    clock: Clock, measure: Callable[[], object], patience_s: float
) -> Callable[[], bool]:
    """Return a function that tells when what is measured has not changed for so long."""
    last = (object(), clock.monotonic())

    def stalled() -> bool:
        nonlocal last
        now = measure()
        if now != last[0]:
            last = (now, clock.monotonic())
        return clock.monotonic() - last[1] > patience_s

    return stalled


def patience_s(configuration: Configuration, shortest_s: float) -> float:
    """Return for how many seconds nothing may be delivered; a slow pace needs more of them."""
    paces = [one.pace for one in configuration.sinks if one.pace is not None]
    return max([shortest_s, *(2 / pace.per_s for pace in paces)])


def is_held_up(sinks: Mapping[str, SinkHealth], *, now: float, patience_s: float) -> bool:
    """Tell whether waiting is of no use: whatever waits, waits for a person or for too long.

    Args:
        sinks: Those for which something waits.
        now: UTC epoch seconds.
        patience_s: How long is not too long.
    """
    return all(
        one.state == "paused" or (one.until is not None and one.until - now > patience_s)
        for one in sinks.values()
    )


def why_waiting(sinks: Mapping[str, SinkHealth], counts: Mapping[str, SinkCounts]) -> str:
    """Say in a line which sinks do not deliver, and why; empty if all do.

    Args:
        sinks: How they are.
        counts: What the last attempts have met, for those that are not left alone yet.
    """
    parts = []
    for name, one in sinks.items():
        reason = one.reason or counts[name].trouble
        if one.pending and reason:
            word = _WORDS.get(one.state, "failing")
            parts.append(f"{name}: {word}{until(one)}: {without_names(reason)}")
    return "; ".join(parts)


def until(one: SinkHealth) -> str:
    """Return `` until …`` for a sink that is left alone, and nothing for any other."""
    left_alone = one.until is not None and one.state in {"waiting", "open", "paused"}
    return f" until {moment(one.until or 0.0)}" if left_alone else ""


def wait_for_deliveries(
    is_done: Callable[[], bool],
    *,
    is_hopeless: Callable[[], bool],
    refresh: Callable[[], None],
    stop: threading.Event,
) -> bool:
    """Wait until all is delivered; False if it is hopeless, or a person has had enough.

    Args:
        is_done: Tells whether nothing is left; may deliver or wait a little itself.
        is_hopeless: Tells whether more waiting is of no use.
        refresh: Shows how far it is.
        stop: Ends the waiting.
    """
    while not is_done():
        refresh()
        # It returns at once where a sink is paused or asks to wait: do not spin on it.
        if stop.wait(POLL_S) or is_hopeless():
            return False
    return True
