"""What a frame is on its way through the stages, and what became of it so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from al_framework.api import Frame, FrameKey, Prediction, StrategyVerdict, Ticket
from al_framework.pipeline.making import make_ticket
from al_framework.pipeline.plan import Plan
from al_framework.pipeline.spool import SeenFrame


@dataclass(slots=True, kw_only=True, eq=False)
class Pending:
    """A frame that may become a datapoint: some strategy takes it, or may after a look at it.

    Whatever is still to be done to it is done by the plan under which it was offered. Not frozen:
    one thread at a time has it, and each copy would cost the caller's thread microseconds.

    Attributes:
        lost: Why the hand-off has dropped it; empty while it has not.
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


@dataclass(slots=True, kw_only=True, eq=False)
class Offer:
    """What became of a frame so far; not frozen for the same reason, and never changed.

    Attributes:
        status: ``pending`` while it is still in the race; ``split`` when only its crops are.
        reason: Why, where the status alone does not say.
        pending: The frame, if it is still in the race.
        entry: What to remember of it, if it is not.
    """

    status: Literal["pending", "not_selected", "limited", "invalid", "dropped", "split"]
    reason: str = ""
    pending: Pending | None = None
    entry: SeenFrame | None = None

    def ticket(self, frame_id: str) -> Ticket:
        """Return the answer to a caller whose frame is out of the race."""
        said = self.status
        status = said if said in ("limited", "invalid", "dropped") else "not_selected"
        return make_ticket(status=status, reason=self.reason, frame_id=frame_id)
