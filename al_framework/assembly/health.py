"""How everything is at the moment, gathered for a person or a monitor."""

import re
from collections.abc import Iterator, Mapping
from typing import Protocol

from al_framework.api import AlFrameworkError, CreditUse, Health, SinkHealth
from al_framework.assembly.lifetime import Assembly
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.spool import Spool
from al_framework.pipeline.spool.sinks import Backlog, SinkRecord

_WHO = re.compile(r"(?:sink '[^']*': )?(?:datapoint '[^']*': )?")


class Waiting(Protocol):
    """The frames in memory: what stands between `Collector.submit` and the spool."""

    @property
    def queued_items(self) -> int:
        """How many they are."""
        ...

    @property
    def queued_bytes(self) -> int:
        """Bytes of their pictures."""
        ...


def health(assembly: Assembly, handoff: Waiting | None = None) -> Health:
    """Ask ring, spool, sinks and ledger how they are.

    Never to be called on the inference path: it reads the index.

    Args:
        assembly: What runs.
        handoff: The frames in memory; None where a run stores each one itself.

    Raises:
        SpoolError: The spool cannot be read.
    """
    spool = assembly.spool
    return Health(
        queued_items=0 if handoff is None else handoff.queued_items,
        queued_bytes=0 if handoff is None else handoff.queued_bytes,
        spool=None if spool is None else spool.health(),
        sinks={} if assembly.delivery is None else assembly.delivery.health(),
        credits=tuple(_credits(assembly.engine.ledger, assembly.clock.time())),
    )


def spool_sinks(spool: Spool, *, now: float) -> Mapping[str, SinkHealth]:
    """Read from a spool how its sinks are, where none of them runs in this process.

    Args:
        spool: The spool, open.
        now: UTC epoch seconds.

    Returns:
        The spool's own sinks, then the others that something waits for or was given up for.

    Raises:
        SpoolError: The spool cannot be read.
    """
    names = tuple(dict.fromkeys((*spool.sinks, *spool.sinks_on_disk())))
    records, backlogs = spool.sink_table.load(names), spool.sink_table.backlog(names)
    return {name: _sink(records[name], backlogs[name], now) for name in names}


def without_names(reason: str) -> str:
    """Return what a sink says without its own name and that of whichever datapoint it was."""
    return reason[match.end() :] if (match := _WHO.match(reason)) is not None else reason


def _sink(record: SinkRecord, backlog: Backlog, now: float) -> SinkHealth:
    pending, dead = backlog.pending, backlog.dead
    if record.state == "closed" or (record.state == "waiting" and record.until <= now):
        return SinkHealth(pending=pending, dead=dead)
    return SinkHealth(
        # Once its time is up, one datapoint is tried.
        state="half_open" if record.until <= now else record.state,
        until=record.until,
        reason=record.reason,
        pending=pending,
        dead=dead,
    )


def _credits(ledger: Ledger, now: float) -> Iterator[CreditUse]:
    terms = ledger.terms
    for strategy in terms.named:
        rules = terms.rules[strategy]
        if not rules:
            continue
        try:
            used = ledger.used(strategy, now)
        except AlFrameworkError:  # its server is away, which is counted where credits are taken
            continue
        for rule in rules:
            yield CreditUse(
                strategy=strategy,
                period=rule.period,
                used=used.get(rule.period, 0),
                limit=rule.value,
            )
