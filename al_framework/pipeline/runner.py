"""The loop behind `al run`; it reads like the diagram.

One thread pulls frames from the sources and takes each through every stage, so a slow stage slows
the source and nothing piles up. Frames are committed in groups and in the order in which the
source gave them: what the spool remembers as seen is never ahead of a frame that it has not got.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from al_framework.api import (
    Clock,
    Frame,
    FrameKey,
    Predictor,
    Source,
    SourceError,
    SpoolError,
    SpoolFullError,
)
from al_framework.api._faults import named_text_of, plugin_errors, text_of
from al_framework.pipeline.engine import Engine, Entry
from al_framework.pipeline.limits.base import LedgerUnavailableError
from al_framework.pipeline.spool import Candidate
from al_framework.pipeline.storing import lost_because, may_fit_in_parts

GROUP_ITEMS = 16
GROUP_BYTES = 8 * 1024 * 1024
GROUP_ENTRIES = 64
GROUP_AGE_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundSource:
    """A started source with its name in the configuration."""

    name: str
    source: Source


class Runner:
    """Drives sources through the engine.

    Args:
        engine: The stages.
        predictor: The model, or None where predictions come with the frames.
        seen: Tells whether another run has dealt with a frame; None offers every frame again.
        wait_for_room: Called when the spool is full, or whoever keeps the limits does not answer;
            tells whether that may have changed.
        clock: Time, for the age of a group.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        predictor: Predictor | None,
        seen: Callable[[FrameKey], bool] | None,
        wait_for_room: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._predictor = predictor
        self._seen = seen
        self._wait_for_room = wait_for_room
        self._clock = clock
        self._keys: dict[str, FrameKey] = {}
        self._group: list[Entry] = []
        self._images = self._bytes = 0  # of the group's pictures
        self._group_started = 0.0
        self._begun: set[FrameKey | None] = (
            set()
        )  # with the last group: what is held of them is ours

    def run(
        self,
        sources: Sequence[BoundSource],
        *,
        stop: threading.Event,
        progress: Callable[[str], None],
    ) -> Mapping[str, str]:
        """Take every frame of every source through the stages.

        Args:
            sources: Drained one after the other, in configuration order.
            stop: Ends the run after the frame at hand; what it has is committed.
            progress: Told the source's name after each frame, skipped ones included.

        Returns:
            The sources that could not be read to their end, with the reason.

        Raises:
            SpoolFullError: The spool stayed full; a later run goes on from here.
            LedgerUnavailableError: Whoever keeps the limits did not answer; likewise.
            SpoolError: The spool cannot be used.
        """
        broken: dict[str, str] = {}
        for bound in sources:
            if stop.is_set():
                break
            try:
                for frame in self._frames(bound, progress):
                    self._process(bound, frame)
                    progress(bound.name)
                    if stop.is_set():
                        break
            except SourceError as exc:
                broken[bound.name] = text_of(exc)
            finally:
                self.flush()
        return broken

    def flush(self) -> None:
        """Commit the frames at hand.

        Raises:
            SpoolFullError: The spool stayed full.
            LedgerUnavailableError: Whoever keeps the limits did not answer.
            SpoolError: The spool cannot be used.
        """
        group, self._group = self._group, []
        self._images = self._bytes = 0
        self._begun = set()
        count = len(group)
        while group:
            part = group[:count]
            try:
                answers = self._engine.accept(part, may_come_again=True)
            except Exception as exc:
                if may_fit_in_parts(exc, part):
                    count = len(part) // 2
                    continue
                if not isinstance(exc, SpoolFullError) or not self._wait_for_room():
                    self._engine.lose(group, lost_because(exc))
                    raise
                count = len(group)
                continue
            ends = {each.item_id: each.status for each in answers}
            unpaid = [e for e in part if _end(e, ends) == "limiter_unavailable"]
            others = {e.unless_seen for e in part if _end(e, ends) == "seen_meanwhile"}
            self._begun |= {entry.unless_seen for entry in part} - others
            group = [self._unasked(entry) for entry in (*unpaid, *group[count:])]
            count = len(group)
            if unpaid and not self._wait_for_room():
                self._engine.lose(group, "limiter_unavailable")
                raise LedgerUnavailableError(
                    f"{self._engine.ledger.trouble or 'the limits cannot be asked for'}: see that"
                    " it runs, or correct limits.redis_url, then run again; the frames that were"
                    " not taken are offered once more"
                )

    def _process(self, bound: BoundSource, frame: Frame) -> None:
        self._engine.ledger.refresh(self._clock.time())  # once a second it looks, no oftener
        key = self._keys.pop(frame.frame_id, None)
        asked = ""
        try:
            _ = frame.image.size  # the header only: a text file named .jpg is found here
            asked = self._predicting(bound)
            document = self._predict(bound.source, frame)
        except plugin_errors() as exc:  # a plugin boundary: one bad frame never stops a run
            self._engine.tally.offer()
            self._add(self._engine.refuse(frame, exc, key=key, who=asked).entry, key)
            return
        once = key
        for offer in self._engine.offer(frame, document, key=key):
            prepared = offer if offer.pending is None else self._engine.prepare(offer.pending)
            entry = prepared if isinstance(prepared, Candidate) else prepared.entry
            self._add(entry, once)
            if once in self._begun:
                once = None

    def _frames(self, bound: BoundSource, progress: Callable[[str], None]) -> Iterator[Frame]:
        try:
            for frame in bound.source.frames(self._skipper(bound.name, progress)):
                yield _checked(frame)
        except (SourceError, SpoolError):  # the spool's: it was asked what it has seen
            raise
        except plugin_errors() as exc:  # a plugin boundary: the other sources still have their turn
            seen = f"it stopped with {named_text_of(exc)}"
            raise SourceError(f"{seen}: repair that, then run again to go on") from exc

    def _predicting(self, bound: BoundSource) -> str:
        if self._predictor is None:
            return f"source {bound.name!r}"
        return f"predictor {self._predictor.context.name!r}"

    def _predict(self, source: Source, frame: Frame) -> object:
        if self._predictor is None:
            return source.recorded_prediction(frame)
        return self._predictor.predict(frame)

    def _skipper(self, name: str, progress: Callable[[str], None]) -> Callable[[FrameKey], bool]:
        def skip(key: FrameKey) -> bool:
            if self._seen is not None and self._seen(key):
                self._engine.tally.skip()
                progress(name)
                return True
            self._keys[key.frame_id] = key
            return False

        return skip

    def _add(self, entry: Entry | None, key: FrameKey | None) -> None:
        if entry is not None:
            if not self._group:
                self._group_started = self._clock.monotonic()
            # Another run over the same source may be a few frames ahead of us: asked once more in
            # the transaction that takes the frame, so that both together take it once.
            once = key if self._seen is not None else None
            self._group.append(replace(entry, unless_seen=once))
            if isinstance(entry, Candidate):
                self._images += 1
                self._bytes += len(entry.image)
        full = self._images >= GROUP_ITEMS or len(self._group) >= GROUP_ENTRIES
        heavy = self._bytes >= GROUP_BYTES
        old = self._images and self._clock.monotonic() - self._group_started >= GROUP_AGE_S
        if full or heavy or old:
            self.flush()

    def _unasked(self, entry: Entry) -> Entry:
        """Return an entry that is taken although its frame is known, if that is our own doing."""
        return replace(entry, unless_seen=None) if entry.unless_seen in self._begun else entry


def _end(entry: Entry, ends: Mapping[str, str]) -> str | None:
    return ends.get(entry.item_id) if isinstance(entry, Candidate) else None


def _checked(frame: object) -> Frame:
    """Return what a source has yielded, if it can go through the stages; the spool needs a name."""
    if not isinstance(frame, Frame):
        raise SourceError(f"it yielded an object of type {type(frame).__name__!r}: yield frames")
    if not isinstance(frame.frame_id, str):
        raise SourceError(f"it named a frame {frame.frame_id!r}: a frame's name is text")
    return frame
