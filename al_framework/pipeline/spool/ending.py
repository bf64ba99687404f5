"""The end of a datapoint: its last delivery is over, and what it took is given back.

Credit and place in the batch go back unless some sink holds the picture. A datapoint that some
sink has refused stays, with its picture, for a person to look at.
"""

import logging
import sqlite3
from dataclasses import dataclass, field

from al_framework.api import AlFrameworkError, Target
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.spool.batches import give_place_back
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.records import BatchKey, Lease
from al_framework.pipeline.spool.schema import DEAD
from al_framework.pipeline.spool.seen import deliveries_of, record_results

_LOG = logging.getLogger(__name__)
_PAID_BY = "credit of "  # and the datapoint: the name of the note that says by which token it paid


@dataclass(slots=True, kw_only=True)
class Ending:
    """What is left to do once the rows are committed.

    Attributes:
        files: Group files that nobody needs any more; to be removed under the spool's lock.
        tokens: Credits to give back outside it, by ledgers that are not part of the transaction.
        evicted: Sinks that lost a datapoint, each with the policy that removed it.
    """

    files: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    evicted: list[tuple[str, str]] = field(default_factory=list)

    def conclude(self, tx: sqlite3.Connection, number: int, ledger: Ledger) -> None:
        """Give back what a datapoint took, and remove it unless a sink has refused it.

        Does nothing as long as a delivery of it is pending.
        """
        deliveries = deliveries_of(tx, number)
        if any(delivery.state == "pending" for delivery in deliveries):
            return
        item_id = _item_id(tx, number)
        has_ended = not any(delivery.state == "dead" for delivery in deliveries)
        if not is_stored(tx, number):
            self._give_back(tx, number, item_id, ledger)
        elif has_ended:  # or a busy index holds the tokens of days
            ledger.settle(item_id if ledger.transactional else _take_token(tx, item_id), tx)
        record_results(tx, item_id, deliveries)
        if has_ended:
            self.remove(tx, number)

    def remove(self, tx: sqlite3.Connection, number: int) -> None:
        """Remove the rows of a datapoint."""
        file, item_id = tx.execute(
            "SELECT file, item_id FROM item WHERE number = ?", (number,)
        ).fetchone()
        tx.execute("DELETE FROM note WHERE name = ?", (_PAID_BY + item_id,))
        tx.execute("DELETE FROM delivery WHERE number = ?", (number,))
        tx.execute("DELETE FROM item WHERE number = ?", (number,))
        if tx.execute("SELECT 1 FROM item WHERE file = ? LIMIT 1", (file,)).fetchone() is None:
            self.files.append(file)

    def clear(self, files: GroupFiles, now: float) -> None:
        """Remove the files that nobody needs any more; the rows are committed, the lock is held.

        One that cannot be removed means nothing without its rows, and is swept away some day.
        """
        for file in self.files:
            try:
                files.remove(file, now)
            except OSError as exc:
                _LOG.warning(
                    "spool '%s': cannot remove group file %r, which nobody needs: %s",
                    files.directory,
                    file,
                    exc,
                )

    def settle(self, ledger: Ledger) -> None:
        """Give back the credits that are not part of the transaction; the lock is free by now."""
        for token in self.tokens:
            try:
                ledger.release(token, None)
            except AlFrameworkError as exc:  # one credit less than there could be, never one more
                _LOG.warning("datapoint %r: its credit is not given back: %s", token, exc)

    def _give_back(self, tx: sqlite3.Connection, number: int, item_id: str, ledger: Ledger) -> None:
        if ledger.transactional:
            ledger.release(item_id, tx)
        else:
            self.tokens.append(_take_token(tx, item_id))
        give_place_back(tx, batch_of(tx, number))


def note_token(tx: sqlite3.Connection, item_id: str, token: str) -> None:
    """Note by which token a datapoint has paid, where that is not its own name."""
    tx.execute(
        "INSERT OR REPLACE INTO note (name, value) VALUES (?, ?)", (_PAID_BY + item_id, token)
    )


def note_stored(tx: sqlite3.Connection, lease: Lease, status: object) -> None:
    """Note whether a sink that has ended with a datapoint holds its picture, if anybody can know.

    A duplicate at a later try may be our own earlier copy whose answer was lost. Of a datapoint
    that was given up, a checkpoint tells that the sink had begun to store it, and any try that was
    not refused may have stored it: the answer came too late, say, or the process died.
    """
    certain = status == "created" or (status == "duplicate" and lease.tries > 1)
    tx.execute(
        """UPDATE delivery
        SET stored = ? OR (state = ? AND (checkpoint <> '{}' OR tries > refusals))
        WHERE number = ? AND sink = ?""",
        (certain, DEAD, lease.number, lease.sink),
    )


def is_stored(tx: sqlite3.Connection, number: int) -> bool:
    """Tell whether some sink may hold the picture."""
    row = tx.execute(
        "SELECT 1 FROM delivery WHERE number = ? AND stored = 1 LIMIT 1", (number,)
    ).fetchone()
    return row is not None


def batch_of(tx: sqlite3.Connection, number: int) -> BatchKey:
    """Return the labelling batch of a datapoint."""
    workspace, project, name = tx.execute(
        "SELECT workspace, project, batch_name FROM item WHERE number = ?", (number,)
    ).fetchone()
    return BatchKey(name=name, target=Target(workspace=workspace or None, project=project or None))


def _take_token(tx: sqlite3.Connection, item_id: str) -> str:
    """Return the token by which a datapoint has paid, and forget it: it is given back once."""
    row = tx.execute(
        "DELETE FROM note WHERE name = ? RETURNING value", (_PAID_BY + item_id,)
    ).fetchone()
    return item_id if row is None else str(row[0])


def _item_id(tx: sqlite3.Connection, number: int) -> str:
    (item_id,) = tx.execute("SELECT item_id FROM item WHERE number = ?", (number,)).fetchone()
    return str(item_id)
