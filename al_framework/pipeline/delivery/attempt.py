"""One attempt to deliver one datapoint to one sink, and what its outcome means."""

import logging
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

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
from al_framework.api._faults import named_text_of, plugin_errors, text_of
from al_framework.pipeline.delivery.breaker import Breaker, Permit, Setback
from al_framework.pipeline.delivery.checkpoint import LeaseCheckpoint
from al_framework.pipeline.delivery.retry import RetryRules
from al_framework.pipeline.reasons import Reasons
from al_framework.pipeline.spool import CorruptItemError, Deliveries, Lease

KEPT_LAGS = 1000
_TELL_EVERY_S = 60.0
_LOG = logging.getLogger(__name__)

Deliver: TypeAlias = Callable[[Datapoint, Checkpoint], Receipt]
OnDelivered: TypeAlias = Callable[[str, Datapoint, Receipt], None]
_GivenUp: TypeAlias = Literal["refused", "attempts", "age", "fault", "crash", "corrupt"]


class Courier:
    """Makes attempts and writes down what came of them.

    Args:
        deliveries: The spool's way out.
        sinks: What delivers, by sink.
        breakers: Whether each sink may be given anything.
        rules: When to try again and when to give up.
        rng: Draws the delays.
        clock: Time.
        on_delivered: Told of each datapoint that a sink holds, or None.

    Attributes:
        lags: By sink, the seconds from acceptance to delivery of the last deliveries.
    """

    def __init__(  # noqa: PLR0913 - what it shares with `Delivery`, keyword-only
        self,
        deliveries: Deliveries,
        *,
        sinks: Mapping[str, Deliver],
        breakers: Mapping[str, Breaker],
        rules: RetryRules,
        rng: random.Random,
        clock: Clock,
        on_delivered: OnDelivered | None,
    ) -> None:
        self._deliveries = deliveries
        self._sinks = sinks
        self._breakers = breakers
        self._rules = rules
        self._rng = rng
        self._clock = clock
        self._on_delivered = on_delivered
        self._given_up = Reasons()
        self._retries = Reasons()
        self._troubled: set[str] = set()  # of which somebody was told
        self._told_at: dict[str, float] = {}
        self._reported: set[tuple[str, type[BaseException]]] = set()
        self.lags: Mapping[str, deque[float]] = {name: deque(maxlen=KEPT_LAGS) for name in sinks}

    def told(self, sink: str) -> Mapping[str, Any]:
        """Return what the counts of a sink hold that the spool does not know."""
        return {
            "given_up": self._given_up.of(sink),
            "retries": self._retries.of(sink),
            "trouble": self._breakers[sink].last_error or "",
        }

    def run(self, lease: Lease, permit: Permit, *, is_ours: bool) -> None:
        """Make one attempt and end the lease.

        Args:
            lease: What to deliver where.
            permit: That of the sink's breaker.
            is_ours: Whether the calling thread is one of ours. Then nobody is there for what a sink
                raises to end a thread or a process, and it is one fault more of the sink.

        Raises:
            SpoolError: What came of it cannot be written down; the datapoint will be tried again.
        """
        try:
            self._attempt(lease, permit, is_ours=is_ours)
        except LeaseLostError as exc:
            _LOG.warning("sink %r: %s", lease.sink, text_of(exc))
        except SpoolError:
            raise
        except Exception as exc:  # noqa: BLE001 - damaged rows, say: the datapoints behind it must go on
            self._put_off(lease, exc)
        finally:
            self._deliveries.let_go(lease)

    def _attempt(self, lease: Lease, permit: Permit, *, is_ours: bool) -> None:
        if lease.crashes >= self._rules.max_crashes:
            reason = f"crash: the process died {lease.crashes} times in a row while it delivered it"
            self._give_up(lease, reason, kind="crash")
            return
        try:
            datapoint = self._deliveries.load(lease)
        except CorruptItemError as exc:
            self._give_up(lease, f"corrupt: {exc}", kind="corrupt")
            return
        checkpoint = LeaseCheckpoint(self._deliveries, lease)
        outcome = self._hand_over(lease, datapoint, checkpoint)
        if isinstance(outcome, Receipt):
            self._deliveries.deliver(lease, outcome)
            self._succeed(lease, permit)
            self._notify(lease, datapoint, outcome)
        elif checkpoint.failed and isinstance(outcome, LeaseLostError | SpoolError):
            raise outcome
        elif not is_ours and not isinstance(outcome, plugin_errors()):
            # The process is told to stop: leave the datapoint to the next one.
            self._deliveries.put_back(lease, reason="interrupted")
            raise outcome
        else:
            self._take_back(lease, permit, outcome)

    def _hand_over(
        self, lease: Lease, datapoint: Datapoint, checkpoint: LeaseCheckpoint
    ) -> Receipt | BaseException:
        """Return what the sink says, or what it raises: a plugin may raise anything."""
        try:
            receipt = self._sinks[lease.sink](datapoint, checkpoint)
            _check(receipt, lease.sink)
        except BaseException as exc:  # noqa: BLE001 - a plugin boundary; the caller tells them apart
            return exc
        return receipt

    def _take_back(self, lease: Lease, permit: Permit, exc: BaseException) -> None:
        match exc:
            case TransientSinkError():
                self._try_again(lease, permit, exc)
            case PermanentSinkError():
                # It works; it only does not want this one.
                self._breakers[lease.sink].succeed(permit)
                self._give_up(lease, text_of(exc), kind="refused")
            case SinkPausedError():
                self._pause(lease, permit, exc)
            case _:  # a SpoolError among them, of a spool of its own
                self._fault(lease, permit, exc)

    def _succeed(self, lease: Lease, permit: Permit) -> None:
        breaker = self._breakers[lease.sink]
        breaker.succeed(permit)
        self.lags[lease.sink].append(max(0.0, self._clock.time() - lease.accepted_at))
        breaker.last_error = None
        if lease.sink in self._troubled:
            self._troubled.discard(lease.sink)
            _LOG.info("sink %r: delivers again", lease.sink)

    def _try_again(self, lease: Lease, permit: Permit, exc: TransientSinkError) -> None:
        asked_s = exc.retry_after_s
        if asked_s is not None:
            asked_s = self._rules.requested_s(asked_s)
        text = text_of(exc)
        setback = self._setback(lease, permit, text, asked_s=asked_s)
        enough = self._is_enough(lease, setback)
        if enough is not None:
            kind, reason = enough
            reason = f"{reason}, the last of which: {text}"
            self._give_up(lease, reason, kind=kind, is_refused=not exc.may_be_stored)
            return
        delay_s = self._delay_s(lease, setback)
        _LOG.debug(
            "sink %r: datapoint %r waits %.1f s: %s", lease.sink, lease.item_id, delay_s, text
        )
        self._deliveries.put_back(
            lease,
            reason=text,
            delay_s=delay_s,
            counts=setback.counts,
            is_refused=not exc.may_be_stored,
        )
        self._retries.count(lease.sink, "transient" if asked_s is None else "retry_after")

    def _is_enough(self, lease: Lease, setback: Setback) -> tuple[_GivenUp, str] | None:
        """Tell why a datapoint is given up, if it is: it fails and its sink works."""
        if not setback.counts:
            return None
        failures = lease.attempts + 1
        if failures >= self._rules.max_attempts:
            return "attempts", f"gave up after {failures} attempts"
        active_s = self._breakers[lease.sink].active_s(self._clock.monotonic())
        if active_s - lease.active_at >= self._rules.max_age_s:
            hours = f"{self._rules.max_age_s / 3600:g} hours"
            return "age", f"gave up after {hours} of trying and {failures} attempts"
        return None

    def _pause(self, lease: Lease, permit: Permit, exc: SinkPausedError) -> None:
        breaker = self._breakers[lease.sink]
        text = text_of(exc)
        breaker.last_error = text
        pause_s = breaker.pause(permit, self._clock.monotonic())
        if pause_s is not None:
            _LOG.warning(
                "sink %r: paused for %d s, its datapoints wait in the spool: %s",
                lease.sink,
                pause_s,
                text,
            )
        self._deliveries.put_back(lease, reason=text, is_refused=True)

    def _fault(self, lease: Lease, permit: Permit, exc: BaseException) -> None:
        self._report(lease.sink, exc)
        text = named_text_of(exc)
        setback = self._setback(lease, permit, text, is_told=True)
        faults = lease.faults + 1
        if setback.counts and faults >= self._rules.max_faults:
            reason = f"failed {faults} times unexpectedly, at last with {text}"
            self._give_up(lease, reason, kind="fault", is_refused=False)
            return
        self._deliveries.put_back(
            lease,
            reason=text,
            delay_s=self._delay_s(lease, setback),
            counts=setback.counts,
            is_fault=True,
        )
        self._retries.count(lease.sink, "fault")

    def _put_off(self, lease: Lease, exc: Exception) -> None:
        """Have a datapoint wait that cannot be dealt with, ever longer."""
        text = named_text_of(exc)
        kind = (lease.sink, type(exc))
        _LOG.error(
            "sink %r: datapoint %r cannot be dealt with and waits: %s; look at its spool with"
            " 'al spool verify'",
            lease.sink,
            lease.item_id,
            text,
            exc_info=None if kind in self._reported else exc,
        )
        self._reported.add(kind)
        delay_s = self._rules.backoff_s(lease.tries, self._rng)
        self._deliveries.put_back(lease, reason=text, delay_s=delay_s, counts=False)
        self._retries.count(lease.sink, "unexpected")

    def _setback(
        self,
        lease: Lease,
        permit: Permit,
        text: str,
        *,
        asked_s: float | None = None,
        is_told: bool = False,
    ) -> Setback:
        """Tell the breaker of a failure, and a person if it is the first."""
        breaker = self._breakers[lease.sink]
        now = self._clock.monotonic()
        # Once, until it delivers again, and of a sink that fails now and then not every time.
        rests = now - self._told_at.get(lease.sink, float("-inf")) < _TELL_EVERY_S
        if breaker.last_error is None and not is_told and not rests:
            self._told_at[lease.sink] = now
            self._troubled.add(lease.sink)
            _LOG.warning(
                "sink %r: does not deliver at the moment, and is tried again: %s", lease.sink, text
            )
        breaker.last_error = text
        setback = breaker.fail(permit, now, asked_s=asked_s)
        if setback.is_news or is_told:
            self._troubled.add(lease.sink)
        if setback.is_news and asked_s is None:
            _LOG.warning(
                "sink %r: fails too often, so it is left alone for %d s and then tried with one"
                " datapoint; the others wait in the spool, and none of them is given up: %s",
                lease.sink,
                setback.alone_s,
                text,
            )
        return setback

    def _delay_s(self, lease: Lease, setback: Setback) -> float:
        if setback.alone_s is not None:
            return setback.alone_s
        return self._rules.backoff_s(lease.attempts + 1, self._rng)

    def _report(self, sink: str, exc: BaseException) -> None:
        kind = (sink, type(exc))
        traceback = None if kind in self._reported else exc
        self._reported.add(kind)
        _LOG.error(
            "sink %r: failed with %s, which is a fault of the sink: %s: repair or update its"
            " plugin",
            sink,
            type(exc).__name__,
            text_of(exc),
            exc_info=traceback,
        )

    def _give_up(
        self, lease: Lease, reason: str, *, kind: _GivenUp, is_refused: bool = True
    ) -> None:
        self._deliveries.give_up(lease, reason, is_refused=is_refused)
        self._given_up.count(lease.sink, kind)
        _LOG.warning("sink %r: datapoint %r is given up: %s", lease.sink, lease.item_id, reason)

    def _notify(self, lease: Lease, datapoint: Datapoint, receipt: Receipt) -> None:
        if self._on_delivered is None:
            return
        try:
            self._on_delivered(lease.sink, datapoint, receipt)
        except plugin_errors():  # a plugin boundary: it is delivered all the same
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
