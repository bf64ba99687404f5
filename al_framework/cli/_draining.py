"""Wait for deliveries as long as it makes sense."""

import threading
from collections.abc import Callable, Mapping

from al_framework.api import Clock, SinkHealth

# A sink that makes no headway for this long will not finish soon; what waits is safe on disk.
STALLED_S = 30.0
POLL_S = 0.1


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
