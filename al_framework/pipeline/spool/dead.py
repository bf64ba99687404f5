"""Dead letters: datapoints that a sink refused for good, kept with their pictures for a person.

They can be looked at, tried again or removed. Their number is bounded: beyond its limits the oldest
go, which is counted and said.
"""

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from al_framework.api import Clock, Datapoint, SpoolError
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.reasons import Reasons
from al_framework.pipeline.spool.ageing import is_believable
from al_framework.pipeline.spool.database import Database
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.ending import Ending
from al_framework.pipeline.spool.failpoints import Failpoint, no_failpoint
from al_framework.pipeline.spool.items import decode_meta
from al_framework.pipeline.spool.lives import add_to_tally
from al_framework.pipeline.spool.records import CorruptItemError, Place, SpoolLimits
from al_framework.pipeline.spool.retrying import Retrial, dead_of, is_living, read_datapoint
from al_framework.pipeline.spool.schema import DEAD, EVICTED
from al_framework.pipeline.spool.seen import deliveries_of, read_result, record_results
from al_framework.pipeline.spool.translating import translated

_LOG = logging.getLogger(__name__)
_GROUP = 64  # letters a transaction: the spool's lock is not for long, and a sync not for one
_PAYING_GROUP = 16  # as many credits are lost at most if the process is killed meanwhile
# Indexes of early versions do not tell when. Cast, since a disk may have made anything of it.
_ENDED = "CAST(coalesce(ended_at, accepted_at) AS REAL)"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A datapoint that one sink refused.

    Attributes:
        item_id: The datapoint.
        frame_id: The frame it was made of; empty if its file cannot be read any more.
        sink: Who refused it.
        reason: Why.
        attempts: Attempts that failed.
        ended_at: UTC epoch seconds when it was given up.
        batch_name: Labelling batch.
        bytes: Picture and metadata.
    """

    item_id: str
    frame_id: str
    sink: str
    reason: str
    attempts: int
    ended_at: float
    batch_name: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryReport:
    """What became of dead letters that were to be tried again.

    Attributes:
        retried: Those that wait for their sink again.
        limited: Those that stay dead, since the limits of their strategy are spent.
    """

    retried: int = 0
    limited: int = 0


class DeadLetters:
    """The dead letters of one spool.

    Args:
        database: The spool's index.
        files: The spool's group files.
        ledger: Is asked for a credit when a letter is tried again.
        clock: Time.
        life: Tells the number of this process's life with the spool.
        limits: How many to keep, and for how long.
        evictions: Counts those that are removed.
        failpoint: As for `Spool`.
    """

    def __init__(  # noqa: PLR0913 - what it shares with the spool, keyword-only
        self,
        database: Database,
        files: GroupFiles,
        *,
        ledger: Ledger,
        clock: Clock,
        life: Callable[[], int],
        limits: SpoolLimits,
        evictions: Reasons,
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._database = database
        self._files = files
        self._ledger = ledger
        self._clock = clock
        self._life = life
        self._limits = limits
        self._evictions = evictions
        self._failpoint = failpoint
        self._retrial = Retrial(
            database, files, ledger=ledger, clock=clock, life=life, failpoint=failpoint
        )

    def list(self, *, sink: str | None = None, limit: int | None = None) -> tuple[DeadLetter, ...]:
        """Return the dead letters, the oldest first.

        Args:
            sink: Those of this sink alone.
            limit: So many at most.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self._files.directory), self._database.read() as tx:
            rows = tx.execute(
                f"""SELECT item_id, file, offset, image_bytes, meta_bytes, image_bytes + meta_bytes,
                    sink, result, attempts, {_ENDED}, batch_name
                FROM delivery JOIN item USING (number)
                WHERE state = {DEAD} AND (:sink IS NULL OR sink = :sink)
                ORDER BY {_ENDED}, number, sink LIMIT :limit""",  # noqa: S608 - constants
                {"sink": sink, "limit": -1 if limit is None else limit},
            ).fetchall()
        return tuple(self._letter(row) for row in rows)

    def load(self, item_id: str) -> Datapoint:
        """Read a dead letter, picture and all.

        Raises:
            SpoolError: There is none of that name, or its file is damaged.
        """
        with translated(self._files.directory), self._database.read() as tx:
            row = tx.execute(
                f"""SELECT file, offset, image_bytes, meta_bytes FROM item WHERE item_id = ?
                AND EXISTS (SELECT 1 FROM delivery AS d
                    WHERE d.number = item.number AND d.state = {DEAD})""",  # noqa: S608 - constant
                (item_id,),
            ).fetchone()
        if row is None:
            raise SpoolError(
                f"spool '{self._files.directory}': there is no dead letter {item_id!r}; see"
                " 'al dead list'"
            )
        try:
            return read_datapoint(self._files, *row)
        except CorruptItemError as exc:
            raise SpoolError(
                f"spool '{self._files.directory}': dead letter {item_id!r} cannot be read: {exc}"
            ) from exc

    def retry(
        self, *, item_ids: Sequence[str] | None = None, sink: str | None = None
    ) -> RetryReport:
        """Have dead letters delivered after all.

        What they had paid was given back unless some sink holds the picture, so they pay anew.

        Args:
            item_ids: These; None for all.
            sink: Those of this sink alone.

        Raises:
            LedgerUnavailableError: Whoever keeps the limits does not answer; what was retried
                before stays retried.
            SpoolError: The spool cannot be used.
        """
        retried = limited = 0
        for group in self._groups(item_ids, sink, size=_PAYING_GROUP):
            one = self._retrial.retry(group, sink)
            retried, limited = retried + one[0], limited + one[1]
        return RetryReport(retried=retried, limited=limited)

    def drop(self, *, item_ids: Sequence[str] | None = None, sink: str | None = None) -> int:
        """Remove dead letters, and the pictures that nobody else waits for; return how many.

        Args:
            item_ids: These; None for all.
            sink: Those of this sink alone.

        Raises:
            SpoolError: The spool cannot be used.
        """
        return sum(self._drop(group, sink) for group in self._groups(item_ids, sink))

    def prune(self) -> int:
        """Remove the oldest dead letters beyond the limits, and say so; return how many.

        Raises:
            SpoolError: The spool cannot be used.
        """
        limits, now = self._limits, self._clock.time()
        with translated(self._files.directory):
            believable = is_believable(self._database, now)
        before = now - limits.dead_max_age_s if believable else float("-inf")
        excess = self._excess(before, limits.dead_max_bytes)
        dropped = sum(
            self._drop(excess[start : start + _GROUP], None)
            for start in range(0, len(excess), _GROUP)
        )
        if dropped:
            _LOG.error(
                "spool '%s': removed %s, the oldest: no more than %d bytes and %g days of them are"
                " kept; see dead_max_bytes and dead_max_age_s",
                self._files.directory,
                "1 dead letter" if dropped == 1 else f"{dropped} dead letters",
                limits.dead_max_bytes,
                limits.dead_max_age_s / 86400,
            )
        return dropped

    def _excess(self, before: float, max_bytes: int) -> Sequence[str]:
        """Return the letters that are too old, or too many for the room that letters may take.

        A group file goes as a whole: where nothing else is left in one, all of it counts.
        """
        with translated(self._files.directory), self._database.read() as tx:
            rows = tx.execute(
                f"""SELECT item_id, file, image_bytes + meta_bytes, max({_ENDED}) AS ended,
                    group_file.bytes + 0, group_file.items
                FROM delivery JOIN item USING (number) JOIN group_file USING (file)
                WHERE state = {DEAD} GROUP BY number ORDER BY ended, number"""  # noqa: S608 - constants
            ).fetchall()
        letters = Counter(file for _, file, *_ in rows)
        alone = {file for _, file, *_, items in rows if letters[file] == items}
        held = sum(size for _, file, size, *_ in rows if file not in alone)
        held += sum({file: size for _, file, _, _, size, _ in rows if file in alone}.values())
        excess = []
        for item_id, file, size, ended, file_bytes, _ in rows:
            if ended >= before and held <= max_bytes:
                break
            excess.append(item_id)
            letters[file] -= 1
            if file not in alone:
                held -= size
            elif not letters[file]:
                held -= file_bytes
        return excess

    def _groups(
        self, item_ids: Sequence[str] | None, sink: str | None, *, size: int = _GROUP
    ) -> Iterator[Sequence[str]]:
        """Yield the names of those that are dead letters, some at a time, the oldest first."""
        with translated(self._files.directory), self._database.read() as tx:
            rows = tx.execute(
                f"""SELECT item_id FROM delivery JOIN item USING (number)
                WHERE state = {DEAD} AND (:sink IS NULL OR sink = :sink)
                GROUP BY number ORDER BY min({_ENDED}), number""",  # noqa: S608 - constants
                {"sink": sink},
            ).fetchall()
        wanted = None if item_ids is None else set(item_ids)
        names = [item_id for (item_id,) in rows if wanted is None or item_id in wanted]
        for start in range(0, len(names), size):
            yield names[start : start + size]

    def _drop(self, item_ids: Sequence[str], sink: str | None) -> int:
        ending, count = Ending(), 0
        with translated(self._files.directory), self._database.locked():
            with self._database.transaction() as tx:
                for item_id in item_ids:
                    count += self._bury(tx, item_id, sink, ending)
                self._failpoint("buried")
            self._failpoint("dropped")
            self._evictions.count_all(ending.evicted)
            ending.clear(self._files, self._clock.time())
        return count

    def _bury(self, tx: sqlite3.Connection, item_id: str, sink: str | None, ending: Ending) -> int:
        rows = dead_of(tx, item_id, sink)
        if not rows:
            return 0
        number = rows[0][0]
        for _, name, life in rows:
            if is_living(tx, life):
                add_to_tally(tx, life, name, "dead", -1)
                add_to_tally(tx, life, name, "evicted")
                ending.evicted.append((name, "dead_letter"))
            tx.execute(
                f"UPDATE delivery SET state = {EVICTED} WHERE number = ? AND sink = ?",  # noqa: S608 - constant
                (number, name),
            )
        left = deliveries_of(tx, number)
        if not any(delivery.state in {"pending", "dead"} for delivery in left):
            # What it took was given back, if it was, when its last delivery ended.
            record_results(tx, item_id, left)
            ending.remove(tx, number)
        return len(rows)

    def _letter(self, row: tuple[Any, ...]) -> DeadLetter:
        item_id, file, offset, image_bytes, meta_bytes, size, *of_delivery = row
        sink, result, attempts, ended_at, batch = of_delivery
        place = Place(offset=offset, image_bytes=image_bytes, meta_bytes=meta_bytes)
        return DeadLetter(
            item_id=item_id,
            frame_id=self._frame_id(file, place),
            sink=sink,
            reason=str(read_result(result).get("reason") or ""),
            attempts=attempts,
            ended_at=ended_at,
            batch_name=batch,
            bytes=size,
        )

    def _frame_id(self, file: str, place: Place) -> str:
        """Read the metadata alone: a list must not cost as much as its pictures."""
        try:
            with self._files.path(file).open("rb") as group:
                group.seek(place.offset + place.image_bytes)
                values, _, _ = decode_meta(group.read(place.meta_bytes))
                return str(values["frame_id"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError, CorruptItemError):
            return ""
