"""What becomes of the pictures that a run has chosen: wait for it, and put it into words."""

import threading
from collections.abc import Callable, Iterable, Mapping

from al_framework.api import Counts, SinkCounts

_POLL_S = 0.1
# Rules at work, and nothing that a person would have to repair.
_ORDINARY_DROPS = ("recently_sent", "batch_full")


def wait_for_deliveries(
    stats: Callable[[], Mapping[str, Counts]],
    wait_s: float,
    *,
    tell: Callable[[str], None],
) -> Mapping[str, Counts]:
    """Wait until everything is delivered, or nothing has been for a while; return the counts.

    Args:
        stats: Tells the counts by collector.
        wait_s: How long to wait, in seconds, while no delivery ends.
        tell: Called with how far it is, in words.
    """
    idle = threading.Event()
    ended, quiet_s = -1, 0.0
    while True:
        counts = stats()
        sinks = [sink for one in counts.values() for sink in one.sinks.values()]
        waiting = sum(sink.pending for sink in sinks) + sum(one.queued for one in counts.values())
        if not waiting:
            return counts
        before, ended = ended, sum(sink.delivered + sink.dead for sink in sinks)
        quiet_s = quiet_s + _POLL_S if ended == before else 0.0
        if quiet_s > wait_s:
            return counts
        tell(f"{ended} delivered, {waiting} to go")
        idle.wait(_POLL_S)


def delivery_lines(counts: Mapping[str, Counts]) -> tuple[list[str], bool]:
    """Return what became of the deliveries in words, and whether anything is left undone."""
    lines: list[str] = []
    undone = False
    for collector, name in _short_names(counts).items():
        found = counts[collector]
        for sink, one in found.sinks.items():
            if one.delivered or one.pending or one.dead:
                lines.append(f"{name}: sink {sink!r}: {_sink_words(one)}")
                undone = undone or bool(one.pending or one.dead)
        for reason, number in found.dropped.items():
            lines.append(f"{name}: {number} dropped: {reason.replace('_', ' ')}")
            undone = undone or reason not in _ORDINARY_DROPS
    return lines, undone


def _sink_words(one: SinkCounts) -> str:
    there = f" ({one.duplicates} had been there before)" if one.duplicates else ""
    parts = [f"{one.delivered} delivered{there}"]
    parts += [f"{one.dead} given up"] if one.dead else []
    if not one.pending:
        return ", ".join(parts)
    parts.append(f"{one.pending} still to be delivered")
    why = f" ({one.trouble})" if one.trouble else ""
    return (
        f"{', '.join(parts)}{why}; what waits is safe in the spool of this key and dataset: run "
        "again with them to go on"
    )


def _short_names(collectors: Iterable[str]) -> dict[str, str]:
    """Return the collectors' names without their two hashes, where that tells them apart."""
    short = {name: name.rsplit("-", 2)[0] for name in collectors}
    several = list(short.values())
    return {name: one if several.count(one) == 1 else name for name, one in short.items()}
