"""The library's face: hand over an image and its prediction, and go on.

`Collector.submit` decides on the caller's thread, where a rejected frame costs microseconds, and
leaves everything else to a thread of its own: copying happens after a yes, encoding and disk
behind a bounded ring that the thread polls.
"""

import atexit
import itertools
import logging
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from al_framework.api import (
    AlFrameworkError,
    ColorOrder,
    Counts,
    Crop,
    Frame,
    Image,
    ImageError,
    ImageInput,
    PredictionError,
    Ticket,
)
from al_framework.assembly import Assembly, assemble_from
from al_framework.pipeline.engine import Engine, Offer
from al_framework.pipeline.handoff import Handoff
from al_framework.pipeline.recent import RecentImages
from al_framework.pipeline.snapshot import snapshot

logger = logging.getLogger(__name__)

POLL_S = 0.005
RING_DEADLINE_S = 10.0  # longer than the spool's thread waits for the size of a batch

_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


class Collector:
    """Collects from inside an application.

    Build it with `from_config`; use it as a context manager, or call `close`. Sources and the
    predictor of a configuration belong to `al run` and are left alone here.
    """

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._engine: Engine = assembly.engine
        self._handoff = Handoff(assembly.engine)
        self._numbers = itertools.count(1)
        self._closed = False
        self._handoff.start()
        atexit.register(self.close)

    @classmethod
    def from_config(
        cls, config: str | Path | Mapping[str, object], *, recent: RecentImages | None = None
    ) -> Self:
        """Read a configuration, start its components, and return a collector that is ready.

        Nothing waits for the network. Where the configuration names a provider, frames are dropped
        as ``no_configuration`` until its first answer, unless an earlier run kept one.

        Args:
            config: A YAML, JSON or TOML file, or the same as a mapping.
            recent: To be shared with other collectors of this process: a picture that one of them
                has sent to a dataset within the last minutes is dropped as ``recently_sent``.

        Raises:
            ConfigurationError: The configuration has faults; all of them are listed.
            ComponentError: A component could not be started.
            SpoolError: The spool directory cannot be used.
        """
        return cls(assemble_from(config, recent=recent))

    def submit(  # noqa: PLR0913 - the one entry point of the library; keyword-only after two
        self,
        image: ImageInput,
        prediction: object = None,
        *,
        frame_id: str | None = None,
        captured_at: float | None = None,
        prediction_type: str | None = None,
        model_id: str | None = None,
        inference_id: str | None = None,
        attributes: Mapping[str, str] = _NO_ATTRIBUTES,
        parent: Crop | None = None,
        color: ColorOrder = "bgr",
        owned: bool = False,
        wait_accepted_s: float | None = None,
    ) -> Ticket:
        """Offer one frame; never raises and, unless asked to wait, never blocks.

        Args:
            image: Encoded bytes, a path, a PIL image, or a uint8 array ``(h, w[, 3])``.
            prediction: A `Detections` or `Classification`, or an object that a prediction adapter
                reads; None for none.
            frame_id: Your name for the frame; by default ``<run id>-<n>``.
            captured_at: UTC epoch seconds when it was taken.
            prediction_type: The task, verbatim, where the object does not say it.
            model_id: Which model, where the object does not say it.
            inference_id: Which request, where the object does not say it.
            attributes: What else is known: camera, site, shift.
            parent: The frame that this one was cut from, and where.
            color: Channel order of an array: ``bgr`` as in OpenCV, or ``rgb``.
            owned: Whether the array is ours now; then it is not copied.
            wait_accepted_s: Wait at most so long until the frame is safe on disk.

        Returns:
            What became of the frame so far; ``invalid`` for bad input, with the reason.
        """
        name = self._name(frame_id)
        if self._closed:
            return self._dropped(name, "shutdown")
        try:
            wait_s = None if wait_accepted_s is None else _seconds(wait_accepted_s)
            model = None if model_id is None else str(model_id)
            inference = None if inference_id is None else str(inference_id)
            frame = Frame(
                frame_id=name,
                image=Image(image, color=color),
                captured_at=_epoch_seconds(captured_at),
                attributes={str(key): str(value) for key, value in attributes.items()},
                parent=_crop(parent),
            )
        except Exception as exc:  # noqa: BLE001 - whatever a caller passes, its loop goes on
            self._engine.tally.offer()
            bare = Frame(frame_id=name, image=Image(b""))
            refusal = self._engine.refuse(bare, exc, key=None)
            return refusal.ticket(name)
        try:
            offers = self._engine.offer(
                frame,
                prediction,
                prediction_type=prediction_type,
                model_id=model,
                inference_id=inference,
            )
        except Exception as exc:  # noqa: BLE001 - as above: a prediction type that is a list, say
            return self._engine.refuse(frame, exc, key=None).ticket(name)
        tickets = [self._hand_over(offer, name, owned, wait_s) for offer in offers]
        return _best(tickets, name)

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until every frame is on disk or turned down; False if the time is up before.

        Delivery goes on behind it: `stats` tells how far it is.
        """
        clock, idle = self._assembly.clock, threading.Event()
        deadline = None if timeout_s is None else clock.monotonic() + timeout_s
        while self.stats().queued:
            if deadline is not None and clock.monotonic() >= deadline:
                return False
            if not self._handoff.alive:
                return False
            idle.wait(POLL_S)
        return True

    def wait_for_configuration(self, timeout_s: float) -> bool:
        """Wait until there is a configuration to collect by; False if the time is up before."""
        clock, idle = self._assembly.clock, threading.Event()
        deadline = clock.monotonic() + _seconds(timeout_s)
        while self._engine.plan is None:
            if self._closed or clock.monotonic() >= deadline:
                return False
            idle.wait(POLL_S)
        return True

    def close(self, deadline_s: float = 5.0) -> None:
        """Empty the ring to disk, deliver until the deadline, and stop.

        What is not delivered by then is safe on disk and delivered by the next run. Never raises;
        safe to call twice.
        """
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        deadline_s = _seconds(deadline_s)
        deadline = self._assembly.clock.monotonic() + deadline_s
        # The deadline is for deliveries; what is in memory is written down all the same.
        self._handoff.close(max(deadline_s, RING_DEADLINE_S))
        left = max(0.0, deadline - self._assembly.clock.monotonic())
        try:
            summary = self._assembly.finish(deadline_s=left)
        except AlFrameworkError as exc:
            # Raised from here it would hide the caller's own error at the end of a with block.
            logger.error("the collector could not be closed properly: %s", exc)  # noqa: TRY400 - the text says it all
            return
        for sink, counts in summary.counts.sinks.items():
            if counts.pending:
                logger.warning(
                    "sink %r: %d still to be delivered, safe in the spool%s",
                    sink,
                    counts.pending,
                    f": {counts.trouble}" if counts.trouble else "",
                )

    def stats(self) -> Counts:
        """Return where every offered frame is by now."""
        return self._assembly.counts()

    def __enter__(self) -> Self:
        """Return the collector itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the collector."""
        self.close()

    def _name(self, frame_id: object) -> str:
        """Return the caller's name as text that can be stored everywhere, or else a new one."""
        try:
            if frame_id is not None:
                # File names that are not UTF-8 come with lone surrogates, which no database takes.
                return str(frame_id).encode("utf-8", "backslashreplace").decode()
        except Exception as exc:  # noqa: BLE001 - whatever a caller passes, its loop goes on
            self._engine.report(f"a frame_id of type {type(frame_id).__name__!r} is no name", exc)
        return f"{self._assembly.run.run_id}-{next(self._numbers)}"

    def _dropped(self, name: str, reason: str) -> Ticket:
        self._engine.tally.offer()
        self._engine.tally.drop(reason)
        return Ticket(status="dropped", reason=reason, frame_id=name)

    def _hand_over(self, offer: Offer, name: str, owned: bool, wait_s: float | None) -> Ticket:
        pending = offer.pending
        if pending is None:
            return offer.ticket(name)
        frame = pending.frame
        try:
            # A path is left to the spool's thread: reading it here would block the caller.
            if not owned and frame.image.path is None:
                frame = replace(frame, image=frame.image.owned())
            pending = replace(pending, frame=frame, prediction=snapshot(pending.prediction))
        except Exception as exc:  # noqa: BLE001 - a PIL image that does not load, no memory
            return self._engine.refuse(frame, exc, key=None).ticket(name)
        return self._handoff.put(pending, wait_accepted_s=wait_s)


def _seconds(value: float) -> float:
    """Return a time that a thread can wait; infinity is as long as the platform can."""
    return max(0.0, min(float(value), threading.TIMEOUT_MAX))


def _best(tickets: Sequence[Ticket], name: str) -> Ticket:
    """Return the ticket of the part that got furthest: a frame of crops is one submission."""
    order = ("accepted", "queued", "limited", "dropped", "invalid", "not_selected")
    if not tickets:
        return Ticket(status="not_selected", reason="the prediction holds no crops", frame_id=name)
    return min(tickets, key=lambda ticket: order.index(ticket.status))


def _crop(parent: object) -> Crop | None:
    if parent is None or isinstance(parent, Crop):
        return parent
    kind = type(parent).__name__
    raise PredictionError(f"parent is a {kind}: pass an al_framework.api.Crop, or None")


def _epoch_seconds(moment: float | None) -> float | None:
    if moment is None:
        return None
    if isinstance(moment, bool | str) or not math.isfinite(float(moment)):
        raise ImageError(f"captured_at is {moment!r}: pass UTC epoch seconds, as time.time() does")
    return float(moment)
