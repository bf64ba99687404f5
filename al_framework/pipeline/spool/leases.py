"""Taking datapoints out of the spool: lease, read, checkpoint, end.

Every write after the lease carries its owner, so a worker whose lease has gone to another changes
nothing any more.
"""

import itertools
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from al_framework.api import Clock, Datapoint, LeaseLostError, Receipt, Target, datapoint_from_dict
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.spool.batches import give_place_back
from al_framework.pipeline.spool.database import Database, translated
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.groupfile import read_item
from al_framework.pipeline.spool.items import decode_meta
from al_framework.pipeline.spool.lives import add_to_tally, adopt_orphans
from al_framework.pipeline.spool.locking import is_alive, process_name
from al_framework.pipeline.spool.records import BatchKey, CorruptItemError, Lease, Place
from al_framework.pipeline.spool.schema import DEAD, DELIVERED
from al_framework.pipeline.spool.seen import deliveries_of, record_results

LEASE_S = 60.0
# Nothing is ever put off further than this; a later date means that the clock was set back.
MAX_DELAY_S = 3600.0


class Deliveries:
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
        self._database = database
        self._files = files
        self._ledger = ledger
        self._clock = clock
        self._life = life
        self._failpoint = failpoint
        self._numbers = itertools.count()
        self._held: set[str] = set()

    def next_due(self, sink: str) -> float | None:
        """Return when the first delivery to a sink that nobody works on is due, if there is one.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self._files.directory), self._database.read() as tx:
            row = tx.execute(
                """SELECT due FROM delivery WHERE sink = ? AND state = 0 AND owner IS NULL
                ORDER BY due, number LIMIT 1""",
                (sink,),
            ).fetchone()
        return None if row is None else float(row[0])

    def is_due(self, sink: str) -> bool:
        """Tell whether `take` would return a lease.

        Raises:
            SpoolError: The index cannot be read.
        """
        due = self.next_due(sink)
        return due is not None and due <= self._clock.time()

    def take(self, sink: str) -> Lease | None:
        """Lease the delivery to a sink that is due first; None if none is due.

        Raises:
            SpoolError: The index cannot be written.
        """
        if not self.is_due(sink):  # a look costs microseconds, a write costs a sync
            return None
        with translated(self._files.directory), self._database.locked():
            owner = f"{self._prefix()}{next(self._numbers)}"
            self._held.add(
                owner
            )  # before it is on disk, or `reclaim` could take it for a stale one
            with self._database.transaction() as tx:
                row = tx.execute(
                    """UPDATE delivery SET owner = ?1, lease_until = ?2, tries = tries + 1
                    WHERE sink = ?3 AND number = (
                        SELECT number FROM delivery
                        WHERE sink = ?3 AND state = 0 AND owner IS NULL AND due <= ?4
                        ORDER BY due, number LIMIT 1)
                    RETURNING number, attempts, tries, faults, checkpoint""",
                    (owner, self._clock.monotonic() + LEASE_S, sink, self._clock.time()),
                ).fetchone()
                if row is None:  # another thread was faster
                    self._held.discard(owner)
                    return None
                number, attempts, tries, faults, checkpoint = row
                item_id, file, *place = tx.execute(
                    """SELECT item_id, file, offset, image_bytes, meta_bytes
                    FROM item WHERE number = ?""",
                    (number,),
                ).fetchone()
            self._failpoint("leased")
        offset, image_bytes, meta_bytes = place
        return Lease(
            number=number,
            item_id=item_id,
            sink=sink,
            owner=owner,
            attempts=attempts,
            tries=tries,
            faults=faults,
            checkpoint=json.loads(checkpoint),
            file=file,
            place=Place(offset=offset, image_bytes=image_bytes, meta_bytes=meta_bytes),
        )

    def load(self, lease: Lease) -> Datapoint:
        """Read the datapoint.

        Raises:
            CorruptItemError: It is not what was written.
        """
        image, meta = read_item(self._files.path(lease.file), lease.place)
        try:
            values, _, _ = decode_meta(meta)
            return datapoint_from_dict(values, image=image)
        except ValueError as exc:
            raise CorruptItemError(
                f"group file {lease.file!r}, offset {lease.place.offset}: {exc}"
            ) from exc

    def checkpoint(self, lease: Lease, state: Mapping[str, str]) -> None:
        """Keep a sink's progress and renew the lease; durable on return.

        Raises:
            LeaseLostError: Another worker has the datapoint.
            SpoolError: The index cannot be written.
        """
        with translated(self._files.directory), self._database.locked():
            with self._database.transaction() as tx:
                self._write(
                    tx,
                    lease,
                    checkpoint=json.dumps(dict(state)),
                    lease_until=self._clock.monotonic() + LEASE_S,
                )
            self._failpoint("checkpointed")

    def deliver(self, lease: Lease, receipt: Receipt) -> None:
        """End a delivery: the sink holds the datapoint.

        Raises:
            LeaseLostError: Another worker has the datapoint.
            SpoolError: The index cannot be written.
        """
        result = {"status": receipt.status, "remote_id": receipt.remote_id, "url": receipt.url}
        self._end(lease, DELIVERED, result, attempts=lease.attempts)

    def give_up(self, lease: Lease, reason: str) -> None:
        """End a delivery: the sink will never take the datapoint, which is kept for a person.

        Raises:
            LeaseLostError: Another worker has the datapoint.
            SpoolError: The index cannot be written.
        """
        self._end(lease, DEAD, {"reason": reason}, attempts=lease.attempts + 1)

    def put_back(
        self, lease: Lease, *, reason: str, delay_s: float | None = None, is_fault: bool = False
    ) -> None:
        """Return a datapoint to be tried again.

        Args:
            lease: The lease, which ends.
            reason: Why, for a person.
            delay_s: Seconds from now; None if no attempt was made that counts.
            is_fault: Whether the sink failed in a way that no sink should.

        Raises:
            LeaseLostError: Another worker has the datapoint.
            SpoolError: The index cannot be written.
        """
        changes: dict[str, Any] = {"result": json.dumps({"reason": reason})}
        if delay_s is not None:
            changes["due"] = self._clock.time() + delay_s
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
                    tx.execute(
                        "UPDATE delivery SET owner = NULL, lease_until = NULL WHERE owner = ?",
                        (owner,),
                    )
            now = self._clock.time()
            for sink in sinks:
                tx.execute(
                    "UPDATE delivery SET due = ? WHERE sink = ? AND state = 0 AND due > ?",
                    (now, sink, now + MAX_DELAY_S),
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

    def _is_stale(self, owner: str, lease_until: float) -> bool:
        if owner.startswith(self._prefix()):
            return True
        process = owner.partition("/")[0]
        return not is_alive(process) or lease_until <= self._clock.monotonic()

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
        self, lease: Lease, state: int, result: Mapping[str, object], *, attempts: int
    ) -> None:
        with translated(self._files.directory), self._database.locked():
            with self._database.transaction() as tx:
                life = self._write(
                    tx,
                    lease,
                    state=state,
                    result=json.dumps(result),
                    attempts=attempts,
                    owner=None,
                    lease_until=None,
                )
                self._note_stored(tx, lease, result.get("status"))
                add_to_tally(tx, life, lease.sink, "delivered" if state == DELIVERED else "dead")
                if result.get("status") == "duplicate":
                    add_to_tally(tx, life, lease.sink, "duplicates")
                file = self._finish_item(tx, lease)
            self._failpoint("ended")
            if file is not None:
                # After the commit: a row must never point to a file that is gone.
                self._files.remove(file, self._clock.time())

    def _note_stored(self, tx: sqlite3.Connection, lease: Lease, status: object) -> None:
        """Note whether the sink holds a picture of ours, as far as anybody can know.

        A duplicate at a later try may be our own earlier copy whose answer was lost. Of a
        datapoint that was given up, a checkpoint tells that the sink had begun to store it.
        """
        certain = status == "created" or (status == "duplicate" and lease.tries > 1)
        tx.execute(
            """UPDATE delivery SET stored = ?1 OR (state = ?2 AND checkpoint <> '{}')
            WHERE number = ?3 AND sink = ?4""",
            (certain, DEAD, lease.number, lease.sink),
        )

    def _finish_item(self, tx: sqlite3.Connection, lease: Lease) -> str | None:
        """Conclude a datapoint whose last delivery has ended; return a file that nobody needs."""
        deliveries = deliveries_of(tx, lease.number)
        if any(delivery.state == "pending" for delivery in deliveries):
            return None
        stored = tx.execute(
            "SELECT 1 FROM delivery WHERE number = ? AND stored = 1 LIMIT 1", (lease.number,)
        ).fetchone()
        if stored is None:
            self._ledger.release(lease.item_id, tx)
            workspace, project, name = tx.execute(
                "SELECT workspace, project, batch_name FROM item WHERE number = ?", (lease.number,)
            ).fetchone()
            target = Target(workspace=workspace or None, project=project or None)
            give_place_back(tx, BatchKey(name=name, target=target))
        record_results(tx, lease.item_id, deliveries)
        if any(delivery.state == "dead" for delivery in deliveries):
            return None
        tx.execute("DELETE FROM delivery WHERE number = ?", (lease.number,))
        tx.execute("DELETE FROM item WHERE number = ?", (lease.number,))
        others = tx.execute("SELECT 1 FROM item WHERE file = ? LIMIT 1", (lease.file,)).fetchone()
        return lease.file if others is None else None
