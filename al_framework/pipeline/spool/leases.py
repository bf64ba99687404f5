"""Taking datapoints out of the spool: lease, read, checkpoint, end.

Every write after the lease carries its owner, so a worker whose lease has gone to another changes
nothing any more.
"""

import itertools
import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from al_framework.api import (
    Clock,
    Datapoint,
    LeaseLostError,
    Receipt,
    SpoolError,
    datapoint_from_dict,
)
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.spool.agenda import Agenda
from al_framework.pipeline.spool.database import Database
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.ending import Ending, note_stored
from al_framework.pipeline.spool.groupfile import NOT_OF_THE_FILE, read_item
from al_framework.pipeline.spool.items import decode_meta
from al_framework.pipeline.spool.lease_rows import Claim, Pick, lease_row, read_number
from al_framework.pipeline.spool.lives import add_to_tally, adopt_orphans
from al_framework.pipeline.spool.locking import is_alive, process_name
from al_framework.pipeline.spool.records import CorruptItemError, Lease
from al_framework.pipeline.spool.schema import DEAD, DELIVERED
from al_framework.pipeline.spool.shared_commit import SharedCommit
from al_framework.pipeline.spool.translating import translated

LEASE_S = 60.0
# Nothing is ever put off further than this; a later date means that the clock was set back.
MAX_DELAY_S = 3600.0
_LOG = logging.getLogger(__name__)


class Deliveries(Agenda):
    """What is to be delivered, and how far it is.

    Args:
        database: The spool's index.
        files: The spool's group files.
        ledger: Gets credits back for datapoints that no sink has stored.
        clock: Time.
        life: Tells the number of this process's life with the spool.
        failpoint: Told the name of each step, for tests that stop the process there.
    """

    def __init__(  # noqa: PLR0913 - what it shares with the spool, keyword-only
        self,
        database: Database,
        files: GroupFiles,
        *,
        ledger: Ledger,
        clock: Clock,
        life: Callable[[], int],
        failpoint: Callable[[str], None],
    ) -> None:
        super().__init__(database, files.directory, clock=clock)
        self._files = files
        self._ledger = ledger
        self._life = life
        self._failpoint = failpoint
        self._numbers = itertools.count()
        self._held: set[str] = set()
        self._commit = SharedCommit(database)
        self._keeps_files = False

    def take(
        self,
        sink: str,
        *,
        item_id: str | None = None,
        is_suspect: bool = False,
        active_s: float = 0.0,
    ) -> Lease | None:
        """Lease the delivery to a sink that is due first; None if none is due.

        Args:
            sink: The sink.
            item_id: Lease that of this datapoint and no other.
            is_suspect: Lease one of those that were in hand when a process died.
            active_s: Seconds for which the sink has been tried so far.

        Raises:
            SpoolError: The index cannot be written.
        """
        if not self.is_due(sink):  # a look costs microseconds, a write costs a sync
            return None
        pick: Pick = "suspect" if is_suspect else "any" if item_id is None else "named"
        number = next(self._numbers)

        def take_one(tx: sqlite3.Connection) -> Lease | None:
            owner = f"{self._prefix()}{number}"
            self._held.add(owner)  # before it is on disk, or `reclaim` could take it for stale
            until, now = self._clock.monotonic() + LEASE_S, self._clock.time()
            claim = Claim(owner=owner, sink=sink, until=until, now=now, active_s=active_s)
            lease = lease_row(tx, claim, pick, item_id=item_id)
            if lease is None:  # another thread was faster
                self._held.discard(owner)
            return lease

        def tell(lease: Lease | None) -> None:
            if lease is not None:
                self._failpoint("leased")

        with translated(self._files.directory):
            return self._commit.write(take_one, tell)

    def load(self, lease: Lease) -> Datapoint:
        """Read the datapoint.

        Raises:
            CorruptItemError: It is not what was written.
            SpoolError: No file can be opened at the moment.
        """
        try:
            image, meta = read_item(self._files.path(lease.file), lease.place)
            values, _, _ = decode_meta(meta)
            return datapoint_from_dict(values, image=image)
        except CorruptItemError as exc:
            cause = exc.__cause__
            lacks = isinstance(cause, OSError) and cause.errno in NOT_OF_THE_FILE
            if lacks or not self._files.are_reachable:
                raise SpoolError(f"spool '{self._files.directory}': {exc}") from exc
            raise
        except MemoryError:
            raise  # no fault of the datapoint: lengths beyond the file's end are not even tried
        except Exception as exc:
            raise CorruptItemError(
                f"group file {lease.file!r}, offset {lease.place.offset}: {exc}"
            ) from exc

    def checkpoint(self, lease: Lease, state: Mapping[str, str]) -> None:
        """Keep a sink's progress and renew the lease; durable on return.

        Raises:
            LeaseLostError: Another worker has the datapoint.
            SpoolError: The index cannot be written.
        """
        self._failpoint("uploaded")
        with translated(self._files.directory):
            self._commit.write(
                lambda tx: self._write(
                    tx,
                    lease,
                    checkpoint=json.dumps(dict(state)),
                    lease_until=self._clock.monotonic() + LEASE_S,
                ),
                lambda _: self._failpoint("checkpointed"),
            )

    def deliver(self, lease: Lease, receipt: Receipt) -> None:
        """End a delivery: the sink holds the datapoint.

        Raises:
            LeaseLostError: Another worker has the datapoint.
            SpoolError: The index cannot be written.
        """
        self._failpoint("answered")
        result = {"status": receipt.status, "remote_id": receipt.remote_id, "url": receipt.url}
        self._end(lease, DELIVERED, result, attempts=lease.attempts)

    def give_up(self, lease: Lease, reason: str, *, is_refused: bool = True) -> None:
        """End a delivery: the sink will never take the datapoint, which is kept for a person.

        Args:
            lease: The lease, which ends.
            reason: Why, for a person.
            is_refused: Whether it is certain that this try has left no picture at the sink.

        Raises:
            LeaseLostError: Another worker has the datapoint.
            SpoolError: The index cannot be written.
        """
        self._end(
            lease,
            DEAD,
            {"reason": reason},
            attempts=lease.attempts + 1,
            refusals=lease.refusals + is_refused,
        )

    def put_back(  # noqa: PLR0913 - what is known of the try, keyword-only
        self,
        lease: Lease,
        *,
        reason: str,
        delay_s: float | None = None,
        counts: bool = True,
        is_fault: bool = False,
        is_refused: bool = False,
    ) -> None:
        """Return a datapoint to be tried again, after those that are due by now.

        Args:
            lease: The lease, which ends.
            reason: Why, for a person.
            delay_s: Seconds from now; None if it was not really tried.
            counts: Whether it is one failure more of this datapoint; not while its sink is down.
            is_fault: Whether the sink failed in a way that no sink should.
            is_refused: As for `give_up`.

        Raises:
            LeaseLostError: Another worker has the datapoint.
            SpoolError: The index cannot be written.
        """
        changes: dict[str, Any] = {
            "result": json.dumps({"reason": reason}),
            "due": self._clock.time() + (delay_s or 0.0),
            "crashes": 0,  # in a row: this try has ended in another way
            "refusals": lease.refusals + is_refused,
        }
        if delay_s is not None and counts:
            changes["attempts"] = lease.attempts + 1
            changes["faults"] = lease.faults + is_fault
        with (
            translated(self._files.directory),
            self._database.locked(),
            self._database.transaction() as tx,
        ):
            life = self._write(tx, lease, owner=None, lease_until=None, **changes)
            if delay_s is not None:
                add_to_tally(tx, life, lease.sink, "retried")

    def let_go(self, lease: Lease) -> None:
        """Note that nobody works on a lease any more, whether or not that could be written down."""
        self._held.discard(lease.owner)

    def release_own(self) -> None:
        """Free all leases of this process, which closes: nobody dies, so no crash is counted.

        Raises:
            SpoolError: The index cannot be written.
        """
        with (
            translated(self._files.directory),
            self._database.locked(),
            self._database.transaction() as tx,
        ):
            prefix = self._prefix()
            tx.execute(
                """UPDATE delivery SET owner = NULL, lease_until = NULL
                WHERE owner IS NOT NULL AND substr(owner, 1, ?) = ?""",
                (len(prefix), prefix),
            )
        self._failpoint("released")

    def reclaim(self, sinks: Sequence[str], *, own: bool = False) -> None:
        """Free leases that nobody works on any more, and take over what ended processes left.

        To be called by the delivery leader alone.

        Args:
            sinks: Whose deliveries to look through for dates beyond any delay.
            own: Whether to free the leases that this process still works on as well.

        Raises:
            SpoolError: The index cannot be written.
        """
        with (
            translated(self._files.directory),
            self._database.locked(),
            self._database.transaction() as tx,
        ):
            leases = tx.execute(
                "SELECT owner, lease_until FROM delivery WHERE owner IS NOT NULL"
            ).fetchall()
            for owner, lease_until in leases:
                is_held = owner in self._held and not own
                if not is_held and self._is_stale(owner, lease_until):
                    # Whatever it was that ended the process, this may have been the cause.
                    died = not self._is_own(owner) and not _is_alive(owner)
                    tx.execute(
                        """UPDATE delivery SET owner = NULL, lease_until = NULL,
                        crashes = crashes + ? WHERE owner = ?""",
                        (died, owner),
                    )
            now = self._clock.time()
            for sink in sinks:
                # What was never tried was put off by nobody: its writer's clock is ahead of ours,
                # and it would come after all that others bring for as long as that.
                tx.execute(
                    """UPDATE delivery SET due = :now
                    WHERE sink = :sink AND state = 0 AND due > :now
                        AND (due > :latest OR tries = 0)""",
                    {"now": now, "sink": sink, "latest": now + MAX_DELAY_S},
                )
            adopt_orphans(tx, self._life())

    def checkpoint_index(self) -> None:
        """Move what is committed from the index's log into the index.

        Raises:
            SpoolError: The index cannot be written.
        """
        with translated(self._files.directory):
            self._database.checkpoint()

    def _prefix(self) -> str:
        return f"{process_name()}/{self._life()}/"

    def _is_own(self, owner: object) -> bool:
        return isinstance(owner, str) and owner.startswith(self._prefix())

    def _is_stale(self, owner: object, lease_until: object) -> bool:
        if self._is_own(owner) or not _is_alive(owner):
            return True
        return read_number(lease_until) <= self._clock.monotonic()

    def _write(self, tx: sqlite3.Connection, lease: Lease, **changes: object) -> int:
        columns = ", ".join(f"{name} = ?" for name in changes)
        row = tx.execute(
            f"UPDATE delivery SET {columns} WHERE number = ? AND sink = ? AND owner = ?"  # noqa: S608 - our own column names
            " RETURNING life",
            (*changes.values(), lease.number, lease.sink, lease.owner),
        ).fetchone()
        if row is None:
            raise LeaseLostError(
                f"datapoint {lease.item_id!r}: another worker has taken over its delivery to the"
                f" sink {lease.sink!r}; stop working on it"
            )
        return int(row[0])

    def _end(
        self,
        lease: Lease,
        state: int,
        result: Mapping[str, object],
        **changes: int,
    ) -> None:
        now = self._clock.time()

        def end(tx: sqlite3.Connection) -> Ending:
            ending = Ending()
            life = self._write(
                tx,
                lease,
                state=state,
                result=json.dumps(result),
                ended_at=now,
                owner=None,
                lease_until=None,
                **changes,
            )
            note_stored(tx, lease, result.get("status"))
            add_to_tally(tx, life, lease.sink, "delivered" if state == DELIVERED else "dead")
            if result.get("status") == "duplicate":
                add_to_tally(tx, life, lease.sink, "duplicates")
            ending.conclude(tx, lease.number, self._ledger)
            return ending

        def clear(ending: Ending) -> None:
            self._failpoint("ended")
            for file in ending.files:
                # After the commit: a row must never point to a file that is gone.
                self._remove(file, now)

        with translated(self._files.directory):
            ending = self._commit.write(end, clear)
        ending.settle(self._ledger)

    def _remove(self, file: str, now: float) -> None:
        """Remove a file; what has ended has ended, even if the disk keeps it."""
        try:
            self._files.remove(file, now)
        except OSError as exc:
            text = "spool '%s': group file %r is not needed any more and cannot be removed: %s"
            level = logging.DEBUG if self._keeps_files else logging.WARNING
            self._keeps_files = True
            _LOG.log(level, text, self._files.directory, file, exc.strerror or exc)
        else:
            self._keeps_files = False


def _is_alive(owner: object) -> bool:
    """Tell whether the process that holds a lease runs; nobody holds one that is damaged."""
    try:
        return isinstance(owner, str) and is_alive(owner.partition("/")[0])
    except (ValueError, OverflowError):
        return False
