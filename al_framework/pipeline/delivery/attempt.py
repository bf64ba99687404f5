"""One attempt to deliver one datapoint to one sink, and what its outcome means."""

import logging
import random
from collections.abc import Callable, Mapping
from typing import TypeAlias

from al_framework.api import (
    Checkpoint,
    Clock,
    Datapoint,
    LeaseLostError,
    PermanentSinkError,
    Receipt,
    SinkPausedError,
    SpoolError,
    TransientSinkError,
)
from al_framework.pipeline.delivery.checkpoint import LeaseCheckpoint
from al_framework.pipeline.delivery.retry import RetryRules, SinkState
from al_framework.pipeline.spool import CorruptItemError, Deliveries, Lease

_LOG = logging.getLogger(__name__)

Deliver: TypeAlias = Callable[[Datapoint, Checkpoint], Receipt]
OnDelivered: TypeAlias = Callable[[str, Datapoint, Receipt], None]


class Courier:
    """Makes attempts and writes down what came of them.

    Args:
        deliveries: The spool's way out.
        sinks: What delivers, by sink.
        states: Whether each sink may be given anything.
        rules: When to try again and when to give up.
        rng: Draws the delays.
        clock: Time.
        on_delivered: Told of each datapoint that a sink holds, or None.
    """

    def __init__(  # noqa: PLR0913 - what it shares with `Delivery`, keyword-only
        self,
        deliveries: Deliveries,
        *,
        sinks: Mapping[str, Deliver],
        states: Mapping[str, SinkState],
        rules: RetryRules,
        rng: random.Random,
        clock: Clock,
        on_delivered: OnDelivered | None,
    ) -> None:
        self._deliveries = deliveries
        self._sinks = sinks
        self._states = states
        self._rules = rules
        self._rng = rng
        self._clock = clock
        self._on_delivered = on_delivered
        self._reported: set[tuple[str, type[BaseException]]] = set()

    def run(self, lease: Lease) -> None:
        """Make one attempt and end the lease.

        Raises:
            SpoolError: What came of it cannot be written down; the datapoint will be tried again.
        """
        try:
            self._attempt(lease)
        except LeaseLostError as exc:
            _LOG.warning("sink %r: %s", lease.sink, exc)
        finally:
            self._deliveries.let_go(lease)

    def _attempt(self, lease: Lease) -> None:
        try:
            datapoint = self._deliveries.load(lease)
        except CorruptItemError as exc:
            self._give_up(lease, f"corrupt: {exc}")
            return
        try:
            receipt = self._sinks[lease.sink](datapoint, LeaseCheckpoint(self._deliveries, lease))
            _check(receipt, lease.sink)
        except (LeaseLostError, SpoolError):
            raise
        except TransientSinkError as exc:
            self._try_again(lease, exc)
        except PermanentSinkError as exc:
            self._give_up(lease, str(exc))
        except SinkPausedError as exc:
            self._states[lease.sink].last_error = str(exc)
            self._pause(lease, exc)
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - a plugin boundary: other sinks must go on
            self._states[lease.sink].last_error = f"{type(exc).__name__}: {exc}"
            self._fault(lease, exc)
        except BaseException:  # the process is told to stop: leave the datapoint to the next one
            self._deliveries.put_back(lease, reason="interrupted")
            raise
        else:
            self._deliveries.deliver(lease, receipt)
            if self._states[lease.sink].succeed():
                _LOG.info("sink %r: delivers again", lease.sink)
            self._notify(lease, datapoint, receipt)

    def _try_again(self, lease: Lease, exc: TransientSinkError) -> None:
        state = self._states[lease.sink]
        if state.last_error is None:  # once, until it delivers again
            _LOG.warning(
                "sink %r: does not deliver at the moment, and is tried again: %s", lease.sink, exc
            )
        state.last_error = str(exc)
        failures = lease.attempts + 1
        delay_s = self._rules.backoff_s(failures, self._rng)
        if exc.retry_after_s is not None:
            delay_s = self._rules.requested_s(exc.retry_after_s)
            state.wait(self._clock.monotonic(), delay_s)
        if failures >= self._rules.max_attempts:
            self._give_up(lease, f"gave up after {failures} attempts, the last of which: {exc}")
            return
        _LOG.debug(
            "sink %r: datapoint %r waits %.1f s: %s", lease.sink, lease.item_id, delay_s, exc
        )
        self._deliveries.put_back(lease, reason=str(exc), delay_s=delay_s)

    def _pause(self, lease: Lease, exc: SinkPausedError) -> None:
        pause_s = self._states[lease.sink].pause(self._clock.monotonic())
        if pause_s is not None:
            _LOG.warning(
                "sink %r: paused for %d s, its datapoints wait in the spool: %s",
                lease.sink,
                pause_s,
                exc,
            )
        self._deliveries.put_back(lease, reason=str(exc))

    def _fault(self, lease: Lease, exc: BaseException) -> None:
        self._report(lease.sink, exc)
        text = f"{type(exc).__name__}: {exc}"
        faults = lease.faults + 1
        if faults >= self._rules.max_faults:
            self._give_up(lease, f"failed {faults} times unexpectedly, at last with {text}")
            return
        delay_s = self._rules.backoff_s(lease.attempts + 1, self._rng)
        self._deliveries.put_back(lease, reason=text, delay_s=delay_s, is_fault=True)

    def _report(self, sink: str, exc: BaseException) -> None:
        kind = (sink, type(exc))
        traceback = None if kind in self._reported else exc
        self._reported.add(kind)
        _LOG.error(
            "sink %r: failed with %s, which is a fault of the sink: %s",
            sink,
            type(exc).__name__,
            exc,
            exc_info=traceback,
        )

    def _give_up(self, lease: Lease, reason: str) -> None:
        self._deliveries.give_up(lease, reason)
        _LOG.warning("sink %r: datapoint %r is given up: %s", lease.sink, lease.item_id, reason)

    def _notify(self, lease: Lease, datapoint: Datapoint, receipt: Receipt) -> None:
        if self._on_delivered is None:
            return
        try:
            self._on_delivered(lease.sink, datapoint, receipt)
        except Exception:  # noqa: BLE001 - a plugin boundary: it is delivered all the same
            _LOG.exception("sink %r: a listener failed on datapoint %r", lease.sink, lease.item_id)


def _check(receipt: object, sink: str) -> None:
    if not isinstance(receipt, Receipt):
        raise TypeError(f"sink {sink!r} returned {receipt!r} instead of a Receipt")
    texts = (receipt.remote_id, receipt.url)
    if receipt.status not in {"created", "duplicate"} or any(
        text is not None and not isinstance(text, str) for text in texts
    ):
        raise TypeError(
            f"sink {sink!r} returned {receipt!r}: status is 'created' or 'duplicate', remote_id "
            "and url are text or None"
        )
