"""Taking a group of frames in: who pays, the group file, the rows, and how it all comes undone.

The order of writes is what makes an accepted datapoint safe: group file written, its contents
synced, its directory synced, rows committed, and only then is it reported as accepted. The row is
the publication, so a file without one means nothing and is swept away.
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from al_framework.api import Clock, SpoolFullError
from al_framework.api.codec import decision_to_dict
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.spool.batches import take_place
from al_framework.pipeline.spool.database import Database
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.items import Row, encode_meta, insert_item
from al_framework.pipeline.spool.records import Acceptance, Candidate, SeenFrame, SpoolLimits
from al_framework.pipeline.spool.seen import forget_passing, remember

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paid:
    """A candidate for which a strategy has paid, ready to be written."""

    candidate: Candidate
    meta: bytes
    sinks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Group:
    """What is to be undone if the group fails.

    Attributes:
        life: The life that answers for it.
        paid: Candidates to be written.
        reserved: Tokens of their credits.
        files: Group files begun.
    """

    life: int
    paid: list[_Paid] = field(default_factory=list)
    reserved: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


class Acceptor:
    """Writes groups.

    Args:
        database: The spool's index.
        files: The spool's group files.
        sinks: As for `Spool`.
        ledger: As for `Spool`.
        clock: As for `Spool`.
        limits: As for `Spool`.
        failpoint: As for `Spool`.
    """

    def __init__(  # noqa: PLR0913 - what it shares with the spool, keyword-only
        self,
        database: Database,
        files: GroupFiles,
        *,
        sinks: Sequence[str],
        ledger: Ledger,
        clock: Clock,
        limits: SpoolLimits,
        failpoint: Callable[[str], None],
    ) -> None:
        self._database = database
        self._files = files
        self._sinks = tuple(sinks)
        self._ledger = ledger
        self._clock = clock
        self._limits = limits
        self._failpoint = failpoint

    def accept(self, entries: Sequence[Candidate | SeenFrame], *, life: int) -> list[Acceptance]:
        """Write a group in one transaction; the caller holds the spool's lock.

        Raises:
            SpoolFullError: There is no room. Nothing was taken.
        """
        self._failpoint("locked")
        group = _Group(life=life)
        try:
            with self._database.transaction() as tx:
                answers = [self._enter(tx, entry, group) for entry in entries]
                self._failpoint("reserved")
                if group.paid:
                    self._store(tx, group)
                self._failpoint("inserted")
        except BaseException:
            self._undo(group)
            raise
        return [answer for answer in answers if answer is not None]

    def _enter(
        self, tx: sqlite3.Connection, entry: Candidate | SeenFrame, group: _Group
    ) -> Acceptance | None:
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
        accepted = answer.strategy is not None
        datapoint = entry.compose(answer.strategy or entry.matching[0])
        decision = datapoint.decision
        if accepted:
            sinks = self._sinks_of(entry)
            meta = encode_meta(datapoint, entry.key, sinks)
            group.paid.append(_Paid(candidate=entry, meta=meta, sinks=sinks))
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

    def _charge(self, tx: sqlite3.Connection, candidate: Candidate, group: _Group) -> Acceptance:
        token = candidate.item_id
        reservation = self._ledger.reserve(candidate.matching, token, candidate.decided_at, tx)
        if reservation is None:
            return Acceptance(item_id=token, status="limited")
        group.reserved.append(token)
        fits = take_place(
            tx,
            candidate.batch,
            candidate.max_batch_images,
            sinks=self._sinks_of(candidate),
            now=self._clock.time(),
        )
        if not fits:
            self._ledger.release(token, tx)
            return Acceptance(item_id=token, status="batch_full")
        return Acceptance(item_id=token, status="accepted", strategy=reservation.strategy)

    def _sinks_of(self, candidate: Candidate) -> tuple[str, ...]:
        return candidate.sinks if candidate.sinks is not None else self._sinks

    def _store(self, tx: sqlite3.Connection, group: _Group) -> None:
        items = [(entry.candidate.image, entry.meta) for entry in group.paid]
        self._require_room(tx, len(items), sum(len(i) + len(m) for i, m in items))
        now = self._clock.time()
        file = self._files.reserve_name(now)
        group.files.append(file)  # first, so that a failure half-way finds what to remove
        places = self._files.write(file, items)
        self._failpoint("written")
        if self._files.make_durable(file):
            forget_passing(tx, now)  # once an hour is often enough
        self._failpoint("synced")
        for entry, place in zip(group.paid, places, strict=True):
            row = Row(
                item_id=entry.candidate.item_id,
                file=file,
                place=place,
                batch=entry.candidate.batch,
                sinks=entry.sinks,
            )
            insert_item(tx, row, now=now, life=group.life)

    def _require_room(self, tx: sqlite3.Connection, items: int, size: int) -> None:
        limits, directory = self._limits, self._files.directory
        held_items, held_bytes = tx.execute("SELECT items, bytes FROM total").fetchone()
        if held_items + items > limits.max_items:
            raise SpoolFullError(
                f"spool '{directory}': it holds {held_items} of {limits.max_items} datapoints"
                f" and cannot take {items} more; wait for the sinks, or raise max_items"
            )
        if held_bytes + size > limits.max_bytes:
            raise SpoolFullError(
                f"spool '{directory}': it holds {held_bytes} of {limits.max_bytes} bytes"
                f" and cannot take {size} more; wait for the sinks, or raise max_bytes"
            )
        self._files.require_free(size, limits.min_free_bytes)

    def _undo(self, group: _Group) -> None:
        for file in group.files:
            try:
                with self._database.read() as tx:
                    row = tx.execute("SELECT 1 FROM item WHERE file = ?", (file,)).fetchone()
                if row is not None:  # interrupted by the user just after the commit: all is done
                    return
                self._files.remove(file, self._clock.time())
            except (OSError, sqlite3.Error) as exc:
                # Without a row it means nothing, and the next opening sweeps it away.
                _LOG.warning(
                    "spool '%s': cannot remove unfinished group file %r: %s",
                    self._files.directory,
                    file,
                    exc,
                )
        if not self._ledger.transactional:
            for token in group.reserved:
                self._ledger.release(token, None)
