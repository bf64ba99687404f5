"""Is there room for another group: in the spool, and on its disk?"""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from al_framework.api import Clock, SpoolDiskFullError, SpoolFullError
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.spool.ballast import INDEX_NEEDS_BYTES, Ballast
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.ending import Ending
from al_framework.pipeline.spool.evicting import evict, least_useful, oldest
from al_framework.pipeline.spool.records import SpoolLimits
from al_framework.pipeline.spool.schema import DEAD

PROBE_EVERY_S = 5.0
_RECOUNT_EVERY_S = 60.0
_RECOUNT = """UPDATE total SET items = (SELECT count(*) FROM item),
    bytes = (SELECT coalesce(sum(bytes), 0) FROM group_file)"""
_LOG = logging.getLogger(__name__)


class Room:
    """Keeps the spool within its bounds.

    Args:
        files: The spool's group files.
        ballast: The spool's reserve.
        limits: As for `Spool`.
        ledger: Gets the credits of evicted datapoints back.
        clock: Time.
    """

    def __init__(
        self,
        files: GroupFiles,
        ballast: Ballast,
        *,
        limits: SpoolLimits,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        self._files = files
        self._ballast = ballast
        self._limits = limits
        self._ledger = ledger
        self._clock = clock
        self._fault: SpoolDiskFullError | None = None
        self._probe_at = self._recount_at = float("-inf")

    @property
    def full_disk(self) -> bool:
        """Whether the disk had no room when it was last tried."""
        return self._fault is not None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Refuse at once while the disk is full; try it again every five seconds.

        Raises:
            SpoolDiskFullError: It was full a moment ago.
        """
        if self._fault is not None and self._clock.monotonic() < self._probe_at:
            raise SpoolDiskFullError(str(self._fault))
        try:
            yield
        except SpoolDiskFullError as exc:
            if self._fault is None:
                _LOG.warning(
                    "%s; until then frames are refused, and what is held is delivered", exc
                )
            self._fault = SpoolDiskFullError(
                str(exc)
            )  # without the frames that the other one holds
            self._probe_at = self._clock.monotonic() + PROBE_EVERY_S
            raise
        if self._fault is not None:
            self._fault = None
            _LOG.info("spool '%s': the disk has room again", self._files.directory)

    def require(self, tx: sqlite3.Connection, *, items: int, size: int, utility: float) -> Ending:
        """Make sure that a group fits, removing others for it if that is what the user wants.

        Args:
            tx: The transaction that is to hold the group.
            items: Datapoints of the group.
            size: Bytes of its file.
            utility: Of the least useful of them.

        Returns:
            What is left to do for those that were removed for it.

        Raises:
            SpoolFullError: The spool has no room.
            SpoolDiskFullError: The disk has none.
        """
        ending = Ending()
        complaint = self._complaint(tx, items, size)
        if complaint is not None and self._clock.monotonic() >= self._recount_at:
            # Totals that a disk has damaged would refuse everything for good.
            self._recount_at = self._clock.monotonic() + _RECOUNT_EVERY_S
            tx.execute(_RECOUNT)
            complaint = self._complaint(tx, items, size)
        if complaint is not None:
            policy = self._limits.when_full
            reason = f"evicted: the spool was full (when_full: {policy})"
            for number in self._victims(tx, items, size, utility):
                sinks = evict(tx, number, reason=reason, ledger=self._ledger, ending=ending)
                ending.evicted += [(sink, policy) for sink in sinks]
                if self._complaint(tx, items, size) is None:
                    complaint = None
                    break
        if complaint is not None:
            raise SpoolFullError(complaint)
        missing = self._ballast.missing_bytes()
        self._files.require_free(size + missing, self._limits.min_free_bytes)
        if missing:
            self._ballast.make()
        return ending

    def lacks_ballast(self) -> bool:
        """Tell whether there is none though there should be."""
        return self._ballast.missing_bytes() > 0

    def make_ballast(self) -> None:
        """Make the ballast if there is room for it; the caller holds the spool's lock.

        It was ours before it was used up, so nothing is left to others here: on a disk with less
        than that it is needed most.
        """
        with suppress(SpoolDiskFullError):
            self._files.require_free(self._ballast.missing_bytes() + INDEX_NEEDS_BYTES, 0)
            self._ballast.make()

    def _victims(
        self, tx: sqlite3.Connection, items: int, size: int, utility: float
    ) -> Iterator[int]:
        limits = self._limits
        if items > limits.max_items or size > limits.max_bytes:
            return iter(())  # it would not fit into an empty spool
        if limits.when_full == "drop_oldest":
            return oldest(tx)
        if limits.when_full == "drop_lowest_value":
            return least_useful(tx, utility)
        return iter(())

    def _complaint(self, tx: sqlite3.Connection, items: int, size: int) -> str | None:
        limits, directory = self._limits, self._files.directory
        held_items, held_bytes = tx.execute("SELECT items, bytes FROM total").fetchone()
        if held_items + items > limits.max_items:
            return (
                f"spool '{directory}': it holds {held_items} of {limits.max_items} datapoints"
                f" and cannot take {items} more; {_advice(tx)}, or raise max_items"
            )
        if held_bytes + size > limits.max_bytes:
            return (
                f"spool '{directory}': it holds {held_bytes} of {limits.max_bytes} bytes"
                f" and cannot take {size} more; {_advice(tx)}, or raise max_bytes"
            )
        return None


def _advice(tx: sqlite3.Connection) -> str:
    (dead,) = tx.execute(
        f"SELECT count(DISTINCT number) FROM delivery WHERE state = {DEAD}"  # noqa: S608 - constant
    ).fetchone()
    if not dead:
        return "wait for the sinks"
    letters = "1 dead letter" if dead == 1 else f"{dead} dead letters"
    return f"wait for the sinks, see to the {letters} among them with 'al dead'"
