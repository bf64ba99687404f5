"""Nothing goes on in the background: for hosts that stop a process between two requests.

There a thread would die with the request. So a frame is stored and delivered before `submit`
returns, or its time is up; what is not delivered by then is safe on disk.
"""

import threading
from collections.abc import Callable
from typing import Protocol

from al_framework.api import Clock, Frame, Prediction, Ticket
from al_framework.pipeline.engine import Engine
from al_framework.pipeline.forking import tell_after_fork
from al_framework.pipeline.offers import Pending
from al_framework.pipeline.storing import prepare, store

# To learn of an outcome that is there already.
_GRACE_S = 0.2
_LEFT = "safe in the spool, and still to be delivered"


class Deliverer(Protocol):
    """What hands accepted datapoints to the sinks, on the thread that calls it."""

    def deliver_now(self, item_id: str, timeout_s: float) -> bool:
        """Try until every sink has a datapoint; False if that did not come to be in time."""
        ...

    def step(self) -> bool:
        """Make the one attempt that is due next; False if nothing is due."""
        ...


class Inline:
    """Takes frames from callers as `Handoff` does, without a thread.

    Args:
        engine: The stages.
        delivery: Delivers; None where nothing is delivered.
        clock: Time.
        timeout_s: Seconds that a frame may take, storing included.
        refresh: Asks for the document and returns the seconds until it is to be asked for again;
            None where it stands in the file.
    """

    alive = True
    queued_items = 0
    queued_bytes = 0

    def __init__(
        self,
        engine: Engine,
        delivery: Deliverer | None,
        *,
        clock: Clock,
        timeout_s: float,
        refresh: Callable[[], float] | None = None,
    ) -> None:
        self._engine = engine
        self._delivery = delivery
        self._clock = clock
        self._timeout_s = timeout_s
        self._refresh = refresh
        self._refresh_at = float("-inf")
        self._asking = threading.Lock()
        self._refusing = False
        self._storing = threading.Lock()
        tell_after_fork(self)

    def start(self) -> None:
        """Ask for the document; there is no thread to start."""
        self.look()

    def look(self) -> None:
        """Ask for the document again if it is time, and nobody else is at it."""
        if self._refresh is None or self._clock.monotonic() < self._refresh_at:
            return
        if self._asking.acquire(blocking=False):
            try:
                self._refresh_at = self._refresh() + self._clock.monotonic()
            finally:
                self._asking.release()

    def after_fork(self) -> None:
        """Go on in the child with a lock that nobody holds, and counts of its own."""
        self._storing = threading.Lock()
        self._asking = threading.Lock()
        self._engine.tally.begin_anew()

    def keep(self, frame: Frame, prediction: Prediction) -> tuple[Frame, Prediction]:
        """Return both as they are: the caller waits for the end."""
        return frame, prediction

    keep_owned = keep

    def put(self, pending: Pending, *, wait_accepted_s: float | None) -> Ticket:
        """Store a frame and deliver it; being accepted is always waited for."""
        del wait_accepted_s
        name = pending.frame.frame_id
        if self._refusing:
            self._engine.tally.drop("shutdown")
            return Ticket(status="dropped", reason="shutdown", frame_id=name)
        deadline = self._clock.monotonic() + self._timeout_s
        self._engine.ledger.refresh(self._clock.time())
        candidate = prepare(self._engine, pending)
        if isinstance(candidate, Ticket):
            return candidate
        with self._storing:
            [ticket] = store(self._engine, [candidate], [name])
        if ticket.status != "accepted" or self._delivery is None:
            return ticket
        reason = self._deliver(self._delivery, candidate.item_id, deadline)
        return Ticket(status="accepted", reason=reason, frame_id=name, item_id=candidate.item_id)

    def close(self, timeout_s: float) -> None:
        """Take no more frames; there is nothing to empty."""
        del timeout_s
        self._refusing = True

    def _deliver(self, delivery: Deliverer, item_id: str, deadline: float) -> str:
        """Deliver until the deadline; return what is still to be done, in words."""
        left = max(0.0, deadline - self._clock.monotonic())
        said: list[str] = []

        def attempt() -> None:
            said.append(self._attempt(delivery, item_id, left))

        # On a thread that is waited for, since a sink may take longer than its caller has time.
        thread = threading.Thread(target=attempt, name="al-inline", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down
            return _LEFT
        thread.join(max(left, _GRACE_S))
        return said[0] if said else _LEFT

    def _attempt(self, delivery: Deliverer, item_id: str, left: float) -> str:
        try:
            if not delivery.deliver_now(item_id, left):
                return _LEFT
            # Without a thread of its own nobody else comes for what earlier frames have left.
            delivery.step()
        except Exception as exc:  # noqa: BLE001 - a caller's loop goes on, and the frame is safe on disk
            self._engine.report(f"a frame is safe in the spool, but: {exc}", exc)
            return f"{_LEFT}: {exc}"
        return ""
