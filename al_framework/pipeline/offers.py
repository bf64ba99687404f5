"""What a frame is on its way through the stages, and what became of it so far."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from al_framework.api import Frame, FrameKey, Prediction, StrategyVerdict, Ticket
from al_framework.pipeline.making import make_ticket
from al_framework.pipeline.plan import Plan
from al_framework.pipeline.spool import SeenFrame


class Waiter:
    """Somebody who waits for a frame's final ticket."""

    __slots__ = ("_done", "_ticket")

    def __init__(self) -> None:
        self._done = threading.Event()
        self._ticket: Ticket | None = None

    def settle(self, ticket: Ticket) -> None:
        """Tell what became of the frame."""
        self._ticket = ticket
        self._done.set()

    def wait(self, timeout_s: float) -> Ticket | None:
        """Return what became of it, or None when the time is up."""
        self._done.wait(timeout_s)
        return self._ticket


@dataclass(slots=True, eq=False)
class Pending:
    """A frame that may become a datapoint: some strategy takes it, or may after a look at it.

    Whatever is still to be done to it is done by the plan under which it was offered. Not frozen:
    one thread at a time has it, and each copy would cost the caller's thread microseconds; for the
    same reason the engine passes the fields by position, which takes a third of the time.

    Attributes:
        lost: Why the hand-off has dropped it; empty while it has not.
        waiter: Who waits for its end; nobody does for most frames.
    """

    plan: Plan
    frame: Frame
    prediction: Prediction
    decided_at: float
    verdicts: Sequence[StrategyVerdict]
    model_id: str | None
    inference_id: str | None
    key: FrameKey | None
    lost: str = ""
    waiter: Waiter | None = None
    status: ClassVar[Literal["pending"]] = "pending"
    entry: ClassVar[None] = None

    @property
    def pending(self) -> "Pending":
        """The frame itself; None of an `Ended`."""
        return self


@dataclass(slots=True, eq=False)
class Ended:
    """A frame that is out of the race; not frozen for the same reason, and never changed.

    Attributes:
        status: How; ``split`` where only its crops go on.
        reason: Why, where the status alone does not say.
        entry: What to remember of it.
    """

    status: Literal["not_selected", "limited", "invalid", "dropped", "split"]
    reason: str = ""
    entry: SeenFrame | None = None
    pending: ClassVar[None] = None

    def ticket(self, frame_id: str) -> Ticket:
        """Return the answer to a caller whose frame is out of the race."""
        said = self.status
        status = said if said in ("limited", "invalid", "dropped") else "not_selected"
        return make_ticket(status, self.reason, frame_id)


# What became of a frame so far.
Offer: TypeAlias = Pending | Ended
