"""The way in: what happens around the transaction that takes a group of frames."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from al_framework.api import SpoolDiskFullError, SpoolError, SpoolFullError
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.spool.accepting import Acceptor
from al_framework.pipeline.spool.database import Database
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.prepaying import prepay, refund
from al_framework.pipeline.spool.records import (
    Acceptance,
    BatchKey,
    Candidate,
    SeenFrame,
    SpoolLimits,
)
from al_framework.pipeline.spool.room import Room
from al_framework.pipeline.spool.translating import translated

Refusal: TypeAlias = Literal["spool_full", "disk_full", "spool_error"]


class Intake:
    """Takes groups of frames in and tells those who want to know.

    Args:
        database: The spool's index.
        files: The spool's group files.
        acceptor: Writes a group.
        room: Whether there is room on the disk.
        ledger: As for `Spool`.
        limits: As for `Spool`.
        life: Tells the number of this process's life with the spool.
        has_sinks: Whether anything may be taken in.
    """

    def __init__(  # noqa: PLR0913 - what it shares with the spool, keyword-only
        self,
        database: Database,
        files: GroupFiles,
        *,
        acceptor: Acceptor,
        room: Room,
        ledger: Ledger,
        limits: SpoolLimits,
        life: Callable[[], int],
        has_sinks: bool,
    ) -> None:
        self._database = database
        self._directory = files.directory
        self._acceptor = acceptor
        self._room = room
        self._ledger = ledger
        self._when_full = limits.when_full
        self._life = life
        self._has_sinks = has_sinks
        self.listeners: list[Callable[[], None]] = []
        self.batch_listeners: list[Callable[[Sequence[BatchKey]], None]] = []

    def accept(self, entries: Sequence[Candidate | SeenFrame]) -> list[Acceptance]:
        """Take a group; see `Spool.accept`."""
        if not entries:
            return []
        if not self._has_sinks:
            raise SpoolError(
                f"spool '{self._directory}': it was opened without sinks, to be looked at; open it"
                " with the sinks that are to have what it takes in"
            )
        self._announce_batches(entries)
        with self._room.watched():
            answers = self._accept(entries)
        if any(answer.status == "accepted" for answer in answers):
            for listener in self.listeners:
                listener()
        return answers

    def _accept(self, entries: Sequence[Candidate | SeenFrame]) -> list[Acceptance]:
        try:
            return self._accept_group(entries)
        except SpoolDiskFullError:
            raise
        except SpoolFullError:
            if self._when_full != "drop_lowest_value" or len(entries) == 1:
                raise
        # Some of them may be worth more than what the spool holds.
        answers: list[Acceptance] = []
        for entry in entries:
            try:
                answers += self._accept_group([entry])
            except SpoolDiskFullError:
                answers += _refused(entry, "disk_full")
            except SpoolFullError:
                answers += _refused(entry, "spool_full")
            except SpoolError:
                answers += _refused(entry, "spool_error")
        return answers

    def _accept_group(self, entries: Sequence[Candidate | SeenFrame]) -> list[Acceptance]:
        prepaid = prepay(self._ledger, entries)
        try:
            with translated(self._directory), self._database.locked():
                answers, ending = self._acceptor.accept(entries, life=self._life(), prepaid=prepaid)
        except Exception:  # an interruption may come after the commit: no credit returns then
            refund(self._ledger, prepaid)
            raise
        refund(self._ledger, prepaid, answers)
        ending.settle(self._ledger)
        return answers

    def _announce_batches(self, entries: Sequence[Candidate | SeenFrame]) -> None:
        candidates = [entry for entry in entries if isinstance(entry, Candidate)]
        limited = [c.batch for c in candidates if c.max_batch_images is not None]
        if limited:
            for listener in self.batch_listeners:
                listener(tuple(dict.fromkeys(limited)))


def _refused(entry: Candidate | SeenFrame, status: Refusal) -> list[Acceptance]:
    if isinstance(entry, SeenFrame):  # it is offered again some day, and answered alike
        return []
    return [Acceptance(item_id=entry.item_id, status=status)]
