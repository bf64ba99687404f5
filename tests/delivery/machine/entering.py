"""What is accepted, refused, or cut short on its way into the spool."""

import copy
import errno
import os
from collections.abc import Sequence
from unittest.mock import patch

import hypothesis.strategies as st
from actors import Crash
from hypothesis.stateful import rule
from stage import MAX_ITEMS, SELDOM, Stage, replace_item

from al_framework.api import SpoolDiskFullError, SpoolFullError
from al_framework.pipeline.spool.accepting import Acceptor

MATCHING = (("a",), ("b",), ("c",), ("a", "b"), ("b", "a", "c"))
POINTS = ("locked", "reserved", "written", "synced", "inserted", "committed")


class Entering(Stage):
    """The way in."""

    @rule(
        slot=st.sampled_from("pq"),
        group=st.lists(st.sampled_from(MATCHING), min_size=1, max_size=3),
    )
    def accept(self, slot: str, group: list[Sequence[str]]) -> None:
        process = self._process(slot)
        if process is None:
            return
        if self.limits.when_full == "drop_lowest_value":
            group = group[:1]
        now = self.clock.time()
        candidates = [self._next(matching, now) for matching in group]
        before = dict(self.model.items)
        try:
            answers = process.spool.accept(candidates)
        except SpoolFullError as exc:
            is_full = len(before) + len(candidates) > MAX_ITEMS
            assert is_full or isinstance(exc, SpoolDiskFullError)  # noqa: PT017 - one of two reasons
            return
        expected: list[str | None] = []
        for candidate, answer in zip(candidates, answers, strict=True):
            payer = self.model.payer(candidate.matching, now)
            expected.append(payer)
            assert answer.item_id == candidate.item_id
            assert answer.status == ("limited" if payer is None else "accepted"), answer
            assert answer.strategy == payer
            if payer is not None:
                self._note(candidate, payer, process.spool.sinks, now)
        self._note_evictions(process, set(before))
        # An index built anew may hold more, but then takes nothing in.
        assert len(self.model.items) <= MAX_ITEMS or not any(expected)

    @rule(
        slot=st.sampled_from("pq"),
        matching=st.sampled_from(MATCHING),
        point=st.sampled_from(POINTS),
        dice=SELDOM,
    )
    def die_while_accepting(
        self, slot: str, matching: Sequence[str], point: str, dice: int
    ) -> None:
        process = self._process(slot)
        if process is None or dice:
            return
        now = self.clock.time()
        candidates = [self._next(matching, now), self._next(matching, now)]
        if len(self.model.items) + 2 > MAX_ITEMS:
            return
        process.crash_at = point
        try:
            # A process that is killed removes no file on its way out.
            with patch.object(Acceptor, "_undo", lambda *_: None):
                process.spool.accept(candidates)
        except Crash:
            pass
        except SpoolDiskFullError:  # it was full a moment ago
            process.crash_at = None
            return
        self._kill(slot, process)
        shadow = copy.deepcopy(self.model)
        for candidate in candidates:
            payer = shadow.payer(candidate.matching, now)
            if payer is None:
                continue
            # It may come back from its group file when the index is lost; nobody was promised it.
            shadow.accept(candidate.item_id, candidate.image, payer, process.spool.sinks, now)
            self.known[candidate.item_id] = replace_item(shadow.items[candidate.item_id])
            if point == "committed":
                self._note(candidate, payer, process.spool.sinks, now)

    @rule(
        slot=st.sampled_from("pq"),
        matching=st.sampled_from(MATCHING),
        part=st.booleans(),
        dice=SELDOM,
    )
    def fill_the_disk(self, slot: str, matching: Sequence[str], part: bool, dice: int) -> None:
        process = self._process(slot)
        if process is None or dice or self.model.payer(matching, self.clock.time()) is None:
            return
        if len(self.model.items) >= MAX_ITEMS:
            return
        real, calls = os.writev, []

        def writev(descriptor: int, buffers: Sequence[bytes]) -> int:
            calls.append(1)
            if part and len(calls) == 1:
                return real(descriptor, [bytes(buffers[0])[:10]])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        candidate = self._next(matching, self.clock.time())
        with patch.object(os, "writev", writev):
            try:
                process.spool.accept([candidate])
            except SpoolDiskFullError:
                pass
            else:
                raise AssertionError("a full disk took a datapoint")

    @rule(slot=st.sampled_from("pq"))
    def evict_due(self, slot: str) -> None:
        process = self._process(slot)
        if process is None:
            return
        before = set(self.model.items)
        process.spool.evict_due()
        assert self.limits.max_age_s is not None or before == self._held(process)
        self._note_evictions(process, before, by_age=True)
