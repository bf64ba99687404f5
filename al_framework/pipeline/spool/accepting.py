"""Taking a group of frames in: who pays, the group file, the rows, and how it all comes undone.

The order of writes is what makes an accepted datapoint safe: group file written, its contents
synced, its directory synced, rows committed, and only then is it reported as accepted. The row is
the publication, so a file without one means nothing and is swept away.
"""

import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from al_framework.api import Clock, FrameKey, SpoolError
from al_framework.api.codec import decision_to_dict
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.reasons import Reasons
from al_framework.pipeline.spool.batches import take_place
from al_framework.pipeline.spool.database import Database
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.ending import Ending
from al_framework.pipeline.spool.groupfile import GroupItem, group_bytes
from al_framework.pipeline.spool.items import Row, encode_meta, insert_item
from al_framework.pipeline.spool.prepaying import Prepaid
from al_framework.pipeline.spool.records import Acceptance, Candidate, Place, SeenFrame
from al_framework.pipeline.spool.room import Room
from al_framework.pipeline.spool.seen import forget_passing, is_seen, remember

_LOG = logging.getLogger(__name__)
_FORGET_EVERY = 1000  # frames: fewer would look often, more would keep many
_TIMES = 256  # groups of which it is remembered how long the disk took


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paid:
    """A candidate for which a strategy has paid, ready to be written."""

    candidate: Candidate
    meta: bytes
    sinks: tuple[str, ...]
    utility: float


@dataclass(slots=True, kw_only=True, eq=False)
class _Group:
    """A group on its way, and what is to be done or undone when it has ended.

    Attributes:
        life: The life that answers for it.
        prepaid: What a ledger outside the transaction has answered, by token.
        seen: Frames that were dealt with before.
        paid: Candidates to be written.
        files: Group files begun.
        ending: What others leave behind that had to make room.
    """

    life: int
    prepaid: Mapping[str, Prepaid]
    seen: set[FrameKey] = field(default_factory=set)
    paid: list[_Paid] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    ending: Ending = field(default_factory=Ending)


class Acceptor:
    """Writes groups.

    Args:
        database: The spool's index.
        files: The spool's group files.
        room: Whether there is room for them.
        sinks: As for `Spool`.
        ledger: As for `Spool`.
        clock: As for `Spool`.
        evictions: Counts what had to make room.
        failpoint: As for `Spool`.
    """

    def __init__(  # noqa: PLR0913 - what it shares with the spool, keyword-only
        self,
        database: Database,
        files: GroupFiles,
        room: Room,
        *,
        sinks: Sequence[str],
        ledger: Ledger,
        clock: Clock,
        evictions: Reasons,
        failpoint: Callable[[str], None],
    ) -> None:
        self._database = database
        self._files = files
        self._room = room
        self._sinks = tuple(sinks)
        self._ledger = ledger
        self._clock = clock
        self._evictions = evictions
        self._failpoint = failpoint
        self._times: deque[float] = deque(maxlen=_TIMES)
        self._passed = 0  # frames that came from no source, since some were forgotten

    @property
    def fsync_p99_s(self) -> float | None:
        """99th percentile of the seconds that the last groups took to become durable."""
        times = sorted(self._times)
        return times[int(len(times) * 0.99)] if times else None

    def accept(
        self,
        entries: Sequence[Candidate | SeenFrame],
        *,
        life: int,
        prepaid: Mapping[str, Prepaid],
    ) -> tuple[list[Acceptance], Ending]:
        """Write a group in one transaction; the caller holds the spool's lock.

        Returns:
            The answers, and what is left to do for others that had to make room: their files are
            removed by now, their credits are not.

        Raises:
            SpoolFullError: There is no room. Nothing was taken.
        """
        self._failpoint("locked")
        group = _Group(life=life, prepaid=prepaid)
        try:
            with self._database.transaction() as tx:
                # All at once: parts of a frame in one group must not keep each other out.
                keys = {entry.unless_seen for entry in entries}
                group.seen |= {key for key in keys if key is not None and is_seen(tx, key)}
                answers = [self._enter(tx, entry, group) for entry in entries]
                self._failpoint("reserved")
                if group.paid:
                    self._store(tx, group)
                self._forget(tx, entries)
                self._failpoint("inserted")
        except BaseException:
            self._undo(group)
            raise
        self._failpoint("committed")
        self.clear(group.ending)
        return [answer for answer in answers if answer is not None], group.ending

    def clear(self, ending: Ending) -> None:
        """Remove the group files of datapoints that were evicted, and count those.

        The rows are committed, and the caller holds the lock.
        """
        self._evictions.count_all(ending.evicted)
        if ending.files:
            self._failpoint("evicted")
        for file in ending.files:
            self._remove(file)

    def _enter(
        self, tx: sqlite3.Connection, entry: Candidate | SeenFrame, group: _Group
    ) -> Acceptance | None:
        if entry.unless_seen in group.seen:
            if isinstance(entry, SeenFrame):
                return None
            return Acceptance(item_id=entry.item_id, status="seen_meanwhile")
        if isinstance(entry, SeenFrame):
            remember(
                tx,
                entry.key,
                outcome=entry.outcome,
                decided_at=entry.decided_at,
                detail=entry.detail,
            )
            return None
        answer = self._charge(tx, entry, group)
        if answer.status == "limiter_unavailable":
            return answer  # nothing was decided: the frame may come again
        accepted = answer.strategy is not None
        datapoint = entry.compose(answer.strategy or entry.matching[0])
        decision = datapoint.decision
        if accepted:
            sinks = self._sinks_of(entry)
            meta = encode_meta(datapoint, entry.key, sinks)
            paid = _Paid(candidate=entry, meta=meta, sinks=sinks, utility=datapoint.utility)
            group.paid.append(paid)
        elif answer.status == "limited":
            decision = replace(decision, outcome="limited")
        if entry.key is not None:
            remember(
                tx,
                entry.key,
                outcome=answer.status,
                decided_at=entry.decided_at,
                detail={**decision_to_dict(decision), "paid_by": answer.strategy},
                item_id=entry.item_id if accepted else None,
            )
        return answer

    def _forget(self, tx: sqlite3.Connection, entries: Sequence[Candidate | SeenFrame]) -> None:
        self._passed += sum(entry.key is not None and not entry.key.source for entry in entries)
        if self._passed >= _FORGET_EVERY:
            forget_passing(tx, self._clock.time())
            self._passed = 0

    def _charge(self, tx: sqlite3.Connection, candidate: Candidate, group: _Group) -> Acceptance:
        token = candidate.item_id
        if self._ledger.transactional:
            now = candidate.decided_at
            reservation = self._ledger.reserve(candidate.matching, token, now, tx)
        else:
            prepaid = group.prepaid[token]
            if not prepaid.is_known:
                return Acceptance(item_id=token, status="limiter_unavailable")
            reservation = prepaid.reservation
        if reservation is None:
            return Acceptance(item_id=token, status="limited")
        fits = take_place(
            tx,
            candidate.batch,
            candidate.max_batch_images,
            sinks=self._sinks_of(candidate),
            now=self._clock.time(),
        )
        if not fits:
            if self._ledger.transactional:
                self._ledger.release(token, tx)
            return Acceptance(item_id=token, status="batch_full")
        return Acceptance(item_id=token, status="accepted", strategy=reservation.strategy)

    def _sinks_of(self, candidate: Candidate) -> tuple[str, ...]:
        return candidate.sinks if candidate.sinks is not None else self._sinks

    def _store(self, tx: sqlite3.Connection, group: _Group) -> None:
        items = [
            GroupItem(paid.candidate.image, paid.meta, paid.candidate.digest) for paid in group.paid
        ]
        utility = min(entry.utility for entry in group.paid)
        size = group_bytes(items)
        group.ending = self._room.require(tx, items=len(items), size=size, utility=utility)
        now = self._clock.time()
        file, places = self._write(group, items)
        for entry, place in zip(group.paid, places, strict=True):
            row = Row(
                item_id=entry.candidate.item_id,
                file=file,
                place=place,
                batch=entry.candidate.batch,
                sinks=entry.sinks,
                utility=entry.utility,
            )
            insert_item(tx, row, now=now, life=group.life)

    def _write(self, group: _Group, items: Sequence[GroupItem]) -> tuple[str, list[Place]]:
        now, started = self._clock.time(), self._clock.monotonic()
        file = self._files.reserve_name(now)
        group.files.append(file)  # first, so that a failure half-way finds what to remove
        places = self._files.write(file, items, self._failpoint)
        self._failpoint("written")
        if self._files.make_durable(file):
            self._passed = _FORGET_EVERY  # an hour later some are too old
        self._failpoint("synced")
        self._times.append(self._clock.monotonic() - started)
        return file, places

    def _undo(self, group: _Group) -> None:
        for file in group.files:
            try:
                with self._database.read() as tx:
                    row = tx.execute("SELECT 1 FROM item WHERE file = ?", (file,)).fetchone()
            except (sqlite3.Error, SpoolError) as exc:
                self._leave(file, exc)
                continue
            if row is not None:  # interrupted by the user just after the commit: all is done
                return
            self._remove(file)

    def _remove(self, file: str) -> None:
        try:
            self._files.remove(file, self._clock.time())
        except OSError as exc:
            self._leave(file, exc)

    def _leave(self, file: str, exc: Exception) -> None:
        # Without a row it means nothing, and the delivery leader sweeps it away.
        _LOG.warning(
            "spool '%s': cannot remove group file %r, which nobody needs: %s",
            self._files.directory,
            file,
            exc,
        )
