"""The library's face: hand over an image and its prediction, and go on.

`Collector.submit` decides on the caller's thread, where a rejected frame costs microseconds, and
leaves everything else to a thread of its own: copying happens after a yes, encoding and disk
behind a bounded ring that the thread polls.
"""

import atexit
import functools
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal, Self, TypeAlias

from al_framework.api import (
    AlFrameworkError,
    ColorOrder,
    Counts,
    Crop,
    Frame,
    Health,
    Image,
    ImageInput,
    Ticket,
)
from al_framework.api._faults import text_of
from al_framework.assembly import Assembly, assemble_from
from al_framework.assembly.health import health, without_names
from al_framework.pipeline.arguments import (
    crop,
    epoch_seconds,
    seconds,
    texts,
    timeout_seconds,
    wait_seconds,
)
from al_framework.pipeline.engine import Engine
from al_framework.pipeline.handoff import Handoff
from al_framework.pipeline.identity import FrameNames
from al_framework.pipeline.inline import Inline
from al_framework.pipeline.making import make_frame
from al_framework.pipeline.offers import Ended, Offer
from al_framework.pipeline.recent import RecentImages
from al_framework.pipeline.ring import Ring

logger = logging.getLogger(__name__)

POLL_S = 0.005
RING_DEADLINE_S = 10.0  # longer than the spool's thread waits for the size of a batch

DeliveryMode: TypeAlias = Literal["background", "inline"]

_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


class Collector:
    """Collects from inside an application.

    Build it with `from_config`; use it as a context manager, or call `close`. Sources and the
    predictor of a configuration belong to `al run` and are left alone here.

    Args:
        assembly: What runs; assembled with ``background=False`` for inline delivery.
        delivery: As for `from_config`.
        inline_timeout_s: As for `from_config`.
    """

    def __init__(
        self,
        assembly: Assembly,
        *,
        delivery: DeliveryMode = "background",
        inline_timeout_s: float = 30.0,
    ) -> None:
        self._assembly = assembly
        self._engine: Engine = assembly.engine
        self._handoff: Handoff | Inline
        self._look: Callable[[], None] | None = None
        if delivery == "background":
            self._handoff = _handoff(assembly)
        else:
            self._handoff = inline = _inline(assembly, inline_timeout_s)
            self._look = inline.look
        self._frame_names = FrameNames(assembly.run.run_id)
        self._closed = False
        self._handoff.start()
        atexit.register(self.close)

    @classmethod
    def from_config(
        cls,
        config: str | Path | Mapping[str, object],
        *,
        recent: RecentImages | None = None,
        delivery: DeliveryMode = "background",
        inline_timeout_s: float = 30.0,
    ) -> Self:
        """Read a configuration, start its components, and return a collector that is ready.

        Nothing waits for the network, unless delivery is inline. Where the configuration names a
        provider, frames are dropped as ``no_configuration`` until its first answer, unless an
        earlier run kept one.

        Args:
            config: A YAML, JSON or TOML file, or the same as a mapping.
            recent: To be shared with other collectors of this process: a picture that one of them
                has sent to a dataset within the last minutes is dropped as ``recently_sent``.
            delivery: ``background``: on threads of its own, behind `submit`. ``inline``: before
                `submit` returns, and without any thread, for hosts that stop a process between
                two requests; what a sink does not take in time is safe on disk, and later frames
                and `close` deliver it.
            inline_timeout_s: Seconds that an inline `submit` takes at most, if the sinks keep to
                theirs.

        Raises:
            ValueError: `delivery` is neither, or `inline_timeout_s` is no time.
            ConfigurationError: The configuration has faults; all of them are listed.
            ComponentError: A component could not be started.
            SpoolError: The spool directory cannot be used.
        """
        if delivery not in ("background", "inline"):
            raise ValueError(f"delivery is {delivery!r}: choose 'background' or 'inline'")
        timeout_s = timeout_seconds(inline_timeout_s)
        background = delivery == "background"
        assembly = assemble_from(config, recent=recent, background=background)
        return cls(assembly, delivery=delivery, inline_timeout_s=timeout_s)

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
        name = self._frame_names.make() if frame_id is None else self._name(frame_id)
        if self._closed:
            return self._dropped(name, "shutdown")
        try:
            if self._look is not None:
                self._look()
            wait_s = None if wait_accepted_s is None else wait_seconds(wait_accepted_s)
            model = None if model_id is None else str(model_id)
            inference = None if inference_id is None else str(inference_id)
            frame = make_frame(
                name,
                Image(image, color=color),
                None if captured_at is None else epoch_seconds(captured_at),
                "",
                texts(attributes) if attributes else _NO_ATTRIBUTES,
                None if parent is None else crop(parent),
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
                keep=self._handoff.keep_owned if owned else self._handoff.keep,
            )
        except Exception as exc:  # noqa: BLE001 - as above: a prediction type that is a list, say
            return self._engine.refuse(frame, exc, key=None).ticket(name)
        if len(offers) == 1:
            return self._hand_over(offers[0], name, wait_s)
        return _best([self._hand_over(offer, name, wait_s) for offer in offers], name)

    async def asubmit(  # noqa: PLR0913 - as for submit
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
        """Offer one frame without holding up the event loop; see `submit`.

        It returns at once. Where the frame is waited for (`wait_accepted_s`, ``inline`` delivery,
        ``block`` on a full ring), another thread waits, and what is passed may not change until
        it returns.
        """
        offer = functools.partial(
            self.submit,
            image,
            prediction,
            frame_id=frame_id,
            captured_at=captured_at,
            prediction_type=prediction_type,
            model_id=model_id,
            inference_id=inference_id,
            attributes=attributes,
            parent=parent,
            color=color,
            owned=owned,
            wait_accepted_s=wait_accepted_s,
        )
        may_block = isinstance(self._handoff, Inline) or (
            self._assembly.configuration.handoff.when_full == "block"
        )
        if may_block or wait_accepted_s is not None:
            import asyncio

            return await asyncio.to_thread(offer)
        return offer()

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until every frame is on disk or turned down; False if the time is up before.

        Delivery goes on behind it: `stats` tells how far it is.
        """
        clock, idle = self._assembly.clock, threading.Event()
        deadline = None if timeout_s is None else clock.monotonic() + timeout_s
        while self._engine.tally.queued:
            if deadline is not None and clock.monotonic() >= deadline:
                return False
            if not self._handoff.alive:
                return False
            idle.wait(POLL_S)
        return True

    def wait_for_configuration(self, timeout_s: float) -> bool:
        """Wait until there is a configuration to collect by; False if the time is up before."""
        clock, idle = self._assembly.clock, threading.Event()
        deadline = clock.monotonic() + seconds(timeout_s)
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
        deadline_s = seconds(deadline_s)
        deadline = self._assembly.clock.monotonic() + deadline_s
        left = 0.0  # after Ctrl-C nobody waits any more
        try:
            # The deadline is for deliveries; what is in memory is written down all the same.
            self._handoff.close(max(deadline_s, RING_DEADLINE_S))
            left = max(0.0, deadline - self._assembly.clock.monotonic())
        finally:
            self._finish(left)

    def _finish(self, deadline_s: float) -> None:
        try:
            summary = self._assembly.finish(deadline_s=deadline_s)
        except Exception as exc:
            # Raised from here it would hide the caller's own error at the end of a with block.
            known = isinstance(exc, AlFrameworkError | OSError)
            text = "the collector could not be closed properly: %s"
            logger.log(logging.ERROR, text, text_of(exc), exc_info=not known)
            return
        for sink, counts in summary.counts.sinks.items():
            if counts.pending:
                logger.warning(
                    "sink %r: %d still to be delivered, safe in the spool%s",
                    sink,
                    counts.pending,
                    f": {without_names(counts.trouble)}" if counts.trouble else "",
                )

    def stats(self) -> Counts:
        """Return where every offered frame is by now."""
        return self._assembly.counts()

    def health(self) -> Health:
        """Return how ring, spool, sinks and limits are; it reads the disk, so not at every frame.

        Raises:
            SpoolError: The spool cannot be read.
        """
        return health(self._assembly, self._handoff)

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
            # File names that are not UTF-8 come with lone surrogates, which no database takes.
            return str(frame_id).encode("utf-8", "backslashreplace").decode()
        except Exception as exc:  # noqa: BLE001 - whatever a caller passes, its loop goes on
            self._engine.report(f"a frame_id of type {type(frame_id).__name__!r} is no name", exc)
        return self._frame_names.make()

    def _dropped(self, name: str, reason: str) -> Ticket:
        self._engine.tally.offer()
        self._engine.tally.drop(reason)
        return Ticket(status="dropped", reason=reason, frame_id=name)

    def _hand_over(self, offer: Offer, name: str, wait_s: float | None) -> Ticket:
        if isinstance(offer, Ended):
            return offer.ticket(name)
        return self._handoff.put(offer, wait_accepted_s=wait_s)


def _handoff(assembly: Assembly) -> Handoff:
    model = assembly.configuration.handoff
    return Handoff(
        assembly.engine,
        Ring(max_items=model.max_items, max_bytes=model.max_bytes),
        when_full=model.when_full,
        block_s=model.block_s,
    )


def _inline(assembly: Assembly, timeout_s: float) -> Inline:
    refresher = assembly.refresher
    return Inline(
        assembly.engine,
        assembly.delivery,
        clock=assembly.clock,
        timeout_s=timeout_s,
        refresh=None if refresher is None else refresher.refresh,
    )


def _best(tickets: Sequence[Ticket], name: str) -> Ticket:
    """Return the ticket of the part that got furthest: a frame of crops is one submission."""
    order = ("accepted", "queued", "limited", "dropped", "invalid", "not_selected")
    if not tickets:
        return Ticket(status="not_selected", reason="the prediction holds no crops", frame_id=name)
    return min(tickets, key=lambda ticket: order.index(ticket.status))
