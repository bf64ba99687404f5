"""What was assembled, from its start to its end."""

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from al_framework.api import (
    AlFrameworkError,
    Clock,
    Counts,
    Predictor,
    RunInfo,
    RunSummary,
    Sink,
)
from al_framework.api._faults import named_text_of, plugin_errors, text_of
from al_framework.assembly.refreshing import Refresher
from al_framework.config.models import Configuration
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.delivery import Delivery
from al_framework.pipeline.engine import Engine
from al_framework.pipeline.runner import BoundSource, Runner
from al_framework.pipeline.spool import Spool
from al_framework.pipeline.strategy_state import save_state

# For an attempt that ends just in time.
_GRACE_S = 0.2

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Assembly:
    """Everything that lives as long as a run.

    Attributes:
        configuration: What the user wrote.
        host: The plugins.
        clock: Time.
        run: The run's name and seed.
        engine: The stages.
        sources: Started sources; empty for library use.
        predictor: The started model, or None.
        sinks: Started sinks by name; empty in a dry run.
        spool: The spool; None in a dry run.
        delivery: The delivery workers; None in a dry run.
        refresher: What keeps the document up to date; None where it stands in the file.
    """

    configuration: Configuration
    host: PluginHost
    clock: Clock
    run: RunInfo
    engine: Engine
    sources: tuple[BoundSource, ...]
    predictor: Predictor | None
    sinks: Mapping[str, Sink]
    spool: Spool | None
    delivery: Delivery | None
    refresher: Refresher | None
    stack: ExitStack

    def counts(self) -> Counts:
        """Return where every offered frame is by now."""
        sinks = {} if self.delivery is None else self.delivery.counts()
        counts = self.engine.tally.counts(sinks)
        refresher = self.refresher
        return counts if refresher is None else replace(counts, left_out=refresher.skipped)

    def runner(self, *, again: bool, wait_for_room: Callable[[], bool]) -> Runner:
        """Return the loop that drives the sources.

        Args:
            again: Offer frames that an earlier run has dealt with, too.
            wait_for_room: Called when the spool is full; tells whether room may have appeared.
        """
        spool = self.spool
        return Runner(
            engine=self.engine,
            predictor=self.predictor,
            seen=None if again or spool is None else spool.seen,
            wait_for_room=wait_for_room,
            clock=self.clock,
        )

    def finish(self, *, deadline_s: float, interrupted: bool = False) -> RunSummary:
        """Deliver until the deadline, tell everybody how it went, and close every component.

        Raises:
            SpoolError: The spool cannot be used any more; what was accepted lies on its disk.
        """
        try:
            self._deliver(deadline_s)
            if self.spool is not None:  # a dry run leaves nothing behind
                plan = self.engine.plan
                for slot in () if plan is None else plan.sampler.slots:
                    for source, strategy in slot.instances().items():
                        save_state(strategy, source)
            summary = RunSummary(
                run=self.run,
                finished_at=self.clock.time(),
                counts=self.counts(),
                problems=(*self.host.problems, *self.engine.tally.problems()),
                interrupted=interrupted,
            )
            for name, sink in self.sinks.items():
                try:
                    sink.finish_run(summary)
                except plugin_errors() as exc:  # a plugin boundary: the others finish, too
                    _tell_unfinished(name, exc)
            self.host.notify("al_run_finished", summary=summary)
            return summary
        finally:
            self.stack.close()

    @staticmethod
    def _drain(delivery: Delivery, deadline_s: float) -> None:
        """Deliver until the deadline; without threads an attempt that hangs is left behind."""
        if delivery.has_threads:
            delivery.drain(deadline_s)
            return
        faults: list[Exception] = []

        def drain() -> None:
            try:
                delivery.drain(deadline_s)
            except Exception as exc:  # noqa: BLE001 - raised on the thread that waits
                faults.append(exc)

        thread = threading.Thread(target=drain, name="al-drain", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down; the spool keeps everything
            return
        thread.join(deadline_s + _GRACE_S)
        if faults:
            raise faults[0]

    def _deliver(self, deadline_s: float) -> None:
        left_s = 0.0  # after an error or Ctrl-C nobody waits any more
        try:
            if self.refresher is not None:
                self.refresher.close()
            if self.delivery is not None:
                deadline = self.clock.monotonic() + deadline_s
                self._drain(self.delivery, deadline_s)
                left_s = max(0.0, deadline - self.clock.monotonic())
        finally:
            if self.delivery is not None:
                self.delivery.close(left_s)


def _tell_unfinished(sink: str, exc: BaseException) -> None:
    known = isinstance(exc, AlFrameworkError | OSError)
    text = text_of(exc)
    if not known:
        remedy = "what was delivered is safe, repair or update its plugin"
        text = f"{named_text_of(exc)}: {remedy}"
    logger.error("sink %r could not finish the run: %s", sink, text, exc_info=not known)
