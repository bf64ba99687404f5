"""A whole collection without threads of its own: every step is made by the caller, and none waits.

It is put together as for `al run`, spool, ledger and sinks included. Only what would happen by
itself, on a thread or after a delay, happens here when it is asked for.
"""

import functools
import random
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from al_framework.api import Frame, Image, ImageInput
from al_framework.assembly.building import Builder
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.offers import Ended
from al_framework.testing.fakes import FakeClock

__all__ = ["SteppedCollection", "stepped_collections"]

# Longer than the longest delay and pause of a delivery.
_LONG_S = 4000.0
_SHORT_S = 10.0
_MAX_ROUNDS = 20
_LOOK_DEADLINE_S = 30.0


class SteppedCollection:
    """Collects as a configuration says, one step at a time; a context manager.

    Args:
        config: A configuration as a mapping; it keeps its spool in a directory of its own.
        clock: Time; nothing moves it but the caller, and `deliver` past delays.
        host: The plugins; by default whatever is installed.

    Raises:
        ConfigurationError: The configuration has faults; all of them are listed.
    """

    def __init__(
        self, config: Mapping[str, object], *, clock: FakeClock, host: PluginHost | None = None
    ) -> None:
        host = host if host is not None else PluginHost.discover()
        self._stack = ExitStack()
        try:
            directory = self._stack.enter_context(tempfile.TemporaryDirectory())
            spool = {"path": str(Path(directory) / "spool"), "min_free_bytes": 0}
            document = read_document({"spool": spool, **config})
            configuration = load_configuration(document, host, environ={})
            rng = random.Random(0)  # noqa: S311 - names and delays are no secret
            builder = Builder(configuration, host, clock, self._stack)
            assembly = builder.assemble(
                rng, environ={}, with_sources=False, dry_run=False, recent=None
            )
        except BaseException:
            self._stack.close()
            raise
        assert assembly.spool is not None  # noqa: S101 - it is one but for a dry run
        assert assembly.delivery is not None  # noqa: S101 - likewise
        self._engine, self._spool, self._delivery = (
            assembly.engine,
            assembly.spool,
            assembly.delivery,
        )
        self._clock = clock
        self._count = 0

    def submit(
        self,
        image: ImageInput,
        prediction: object = None,
        *,
        prediction_type: str | None = None,
        model_id: str | None = None,
        inference_id: str | None = None,
    ) -> str:
        """Take one frame through all stages up to the disk.

        Returns:
            What became of it: ``accepted``, or why it was not.
        """
        self._count += 1
        frame = Frame(frame_id=f"frame-{self._count}", image=Image(image))
        offers = self._engine.offer(
            frame,
            prediction,
            prediction_type=prediction_type,
            model_id=model_id,
            inference_id=inference_id,
        )
        for offer in offers:
            if offer.pending is None:
                return offer.status
            prepared = self._engine.prepare(offer.pending)
            if isinstance(prepared, Ended):
                return prepared.status
            return self._engine.accept([prepared])[0].status
        return "not_selected"

    def deliver(self) -> None:
        """Deliver until nothing is left, letting delays and pauses pass.

        Raises:
            TimeoutError: Something is still left after many attempts.
        """
        for _ in range(_MAX_ROUNDS):
            while self._delivery.step():
                pass
            # Before time moves: an answer counts from when it is written down.
            self._finish_looks()
            if not any(counts.pending for counts in self._spool.counts().values()):
                return
            self._clock.advance(_LONG_S)
        raise TimeoutError("some datapoint is neither delivered nor given up: see the sink's log")

    def set_time(self, now: float) -> None:
        """Let time pass until a moment in UTC epoch seconds, and do what is due by then.

        That is: ask sinks how many pictures the batches in use hold, where it is time to.
        """
        self._clock.advance(_SHORT_S)
        self._clock.set_time(now)
        self.deliver()

    def close(self) -> None:
        """Close everything; what was not delivered is gone."""
        self._delivery.close(0.0)
        self._stack.close()

    def __enter__(self) -> Self:
        """Return the collection itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the collection."""
        self.close()

    @staticmethod
    def _finish_looks() -> None:
        """Wait for questions about the size of batches, which nobody waits for otherwise."""
        for thread in threading.enumerate():
            if thread.name == "al-batch-look":
                thread.join(_LOOK_DEADLINE_S)


def stepped_collections() -> Callable[..., SteppedCollection]:
    """Return what opens a `SteppedCollection`, with the plugins looked for once for all of them."""
    return functools.partial(SteppedCollection, host=PluginHost.discover())
