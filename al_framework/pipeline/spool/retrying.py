"""Having dead letters delivered after all: who pays anew, and how it all comes undone.

A ledger that lives elsewhere is asked before the spool's lock is taken, and what it grants is good
for one attempt only: every attempt asks with a token of its own, which the index notes together
with the rows that it pays for. So a credit that turns out to be in vain can be given back without
touching what another process, or an earlier life of the same datapoint, has paid.
"""

import itertools
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from al_framework.api import Clock, Datapoint, datapoint_from_dict
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.spool.batches import take_place
from al_framework.pipeline.spool.database import Database
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.ending import Ending, batch_of, note_token
from al_framework.pipeline.spool.failpoints import Failpoint, no_failpoint
from al_framework.pipeline.spool.groupfile import read_item
from al_framework.pipeline.spool.items import decode_meta
from al_framework.pipeline.spool.lives import add_to_tally
from al_framework.pipeline.spool.locking import process_name
from al_framework.pipeline.spool.records import CorruptItemError, Place
from al_framework.pipeline.spool.schema import DEAD, PENDING
from al_framework.pipeline.spool.translating import translated


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """What a ledger outside the transaction has answered for a group.

    Attributes:
        tokens: Credits taken in this very attempt, by datapoint.
        limited: Datapoints for which there was none.
        damaged: Those whose payer cannot be read.
        used: Credits that pay for something.
    """

    tokens: dict[str, str] = field(default_factory=dict)
    limited: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)


class Retrial:
    """Lets dead deliveries wait for their sink again; takes what `DeadLetters` shares with it."""

    def __init__(  # noqa: PLR0913 - what it shares with the spool, keyword-only
        self,
        database: Database,
        files: GroupFiles,
        *,
        ledger: Ledger,
        clock: Clock,
        life: Callable[[], int],
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._database = database
        self._files = files
        self._ledger = ledger
        self._clock = clock
        self._life = life
        self._failpoint = failpoint
        self._numbers = itertools.count()

    def retry(self, group: Sequence[str], sink: str | None) -> tuple[int, int]:
        """Try a group of datapoints again, in one transaction.

        Returns:
            How many deliveries wait again, and for how many datapoints there was no credit. One
            that somebody else deals with at this moment is in neither.

        Raises:
            LedgerUnavailableError: Whoever keeps the limits does not answer; nothing was done.
            SpoolError: The spool cannot be used.
        """
        attempt = _Attempt()
        retried = limited = 0
        is_decided = False
        try:
            if not self._ledger.transactional:  # it may be far away: not under the lock
                self._prepay(group, attempt)
            self._failpoint("prepaid")
            with (
                translated(self._files.directory),
                self._database.locked(),
                self._database.transaction() as tx,
            ):
                for item_id in group:
                    rows = dead_of(tx, item_id, sink)
                    if not rows:  # another process was faster
                        continue
                    number = rows[0][0]
                    # Seen again: since the ledger was asked, its last delivery may have ended.
                    owes = _owes(tx, number)
                    if owes and not self._charge(tx, item_id, attempt):
                        limited += self._ledger.transactional or item_id in attempt.limited
                        continue
                    if owes:
                        self._take_place(tx, number, rows)
                    self._revive(tx, rows)
                    retried += len(rows)
                self._failpoint("revived")
                is_decided = True  # it may be committed from here on, whatever is raised
        except BaseException:
            if not is_decided:
                Ending(tokens=list(attempt.tokens.values())).settle(self._ledger)
            raise
        self._failpoint("retried")
        unused = [token for token in attempt.tokens.values() if token not in attempt.used]
        Ending(tokens=unused).settle(self._ledger)
        return retried, limited

    def _prepay(self, group: Sequence[str], attempt: _Attempt) -> None:
        for item_id in group:
            with translated(self._files.directory), self._database.read() as tx:
                row = tx.execute("SELECT number FROM item WHERE item_id = ?", (item_id,)).fetchone()
                if row is None or not _owes(tx, row[0]):
                    continue
                strategy = self._strategy(tx, item_id)
            if strategy is None:
                attempt.damaged.add(item_id)
                continue
            token = f"{item_id}~{process_name()}/{self._life()}/{next(self._numbers)}"
            if self._ledger.reserve((strategy,), token, self._clock.time(), None) is None:
                attempt.limited.add(item_id)
            else:
                attempt.tokens[item_id] = token

    def _charge(self, tx: sqlite3.Connection, item_id: str, attempt: _Attempt) -> bool:
        """Let a datapoint pay; return whether it may go on."""
        if self._ledger.transactional:
            strategy = self._strategy(tx, item_id)
            if strategy is None:
                return True
            return self._ledger.reserve((strategy,), item_id, self._clock.time(), tx) is not None
        if item_id in attempt.damaged:
            return True
        token = attempt.tokens.get(item_id)
        if token is None:
            return False
        note_token(tx, item_id, token)
        attempt.used.add(token)
        return True

    def _strategy(self, tx: sqlite3.Connection, item_id: str) -> str | None:
        """Return who pays; None if that cannot be read any more.

        It cannot be delivered either then, which its sink's turn will show.
        """
        row = tx.execute(
            "SELECT file, offset, image_bytes, meta_bytes FROM item WHERE item_id = ?", (item_id,)
        ).fetchone()
        try:
            return read_datapoint(self._files, *row).strategy
        except CorruptItemError:
            return None

    def _take_place(
        self, tx: sqlite3.Connection, number: int, rows: Sequence[tuple[int, str, int]]
    ) -> None:
        # Whoever offers the next picture sees that the batch is as full as it will be.
        names = tuple(name for _, name, _ in rows)
        take_place(tx, batch_of(tx, number), None, sinks=names, now=self._clock.time())

    def _revive(self, tx: sqlite3.Connection, rows: Sequence[tuple[int, str, int]]) -> None:
        for number, name, life in rows:
            if is_living(tx, life):
                answers_for_it = life
                add_to_tally(tx, life, name, "dead", -1)
            else:
                answers_for_it = self._life()  # it is ours now
                add_to_tally(tx, answers_for_it, name, "recovered")
            tx.execute(
                f"""UPDATE delivery SET state = {PENDING}, life = ?, due = ?, attempts = 0,
                    faults = 0, crashes = 0, ended_at = NULL
                WHERE number = ? AND sink = ?""",  # noqa: S608 - constant
                (answers_for_it, self._clock.time(), number, name),
            )


def dead_of(tx: sqlite3.Connection, item_id: str, sink: str | None) -> list[tuple[int, str, int]]:
    """Return datapoint, sink and life of the dead deliveries of a datapoint."""
    return tx.execute(
        f"""SELECT number, sink, life FROM delivery JOIN item USING (number)
        WHERE item_id = :item_id AND state = {DEAD} AND (:sink IS NULL OR sink = :sink)""",  # noqa: S608 - constant
        {"item_id": item_id, "sink": sink},
    ).fetchall()


def is_living(tx: sqlite3.Connection, life: int) -> bool:
    """Tell whether somebody still reports for a life by its own number."""
    row = tx.execute(
        "SELECT 1 FROM life WHERE life = ? AND heir IS NULL AND process <> ''", (life,)
    ).fetchone()
    return row is not None


def read_datapoint(
    files: GroupFiles, file: str, offset: int, image_bytes: int, meta_bytes: int
) -> Datapoint:
    """Read a datapoint from its group file.

    Raises:
        CorruptItemError: It is not what was written.
    """
    place = Place(offset=offset, image_bytes=image_bytes, meta_bytes=meta_bytes)
    image, meta = read_item(files.path(file), place)
    try:
        return datapoint_from_dict(decode_meta(meta)[0], image=image)
    except ValueError as exc:
        raise CorruptItemError(f"group file {file!r}, offset {offset}: {exc}") from exc


def _owes(tx: sqlite3.Connection, number: int) -> bool:
    """Tell whether what a datapoint has paid was given back.

    It was if every delivery of it has ended and no sink holds the picture.
    """
    row = tx.execute(
        f"""SELECT 1 FROM delivery WHERE number = ?
        AND (stored = 1 OR state = {PENDING}) LIMIT 1""",  # noqa: S608 - constant
        (number,),
    ).fetchone()
    return row is None
