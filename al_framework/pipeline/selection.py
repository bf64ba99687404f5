"""Verdicts → Decision: which strategies take the frame.

`first_match` is Roboflow's rule: every strategy is asked, each makes its own draw, and later the
first one in configuration order whose limits have room pays. Windows and budgets will stand here
beside it.
"""

from collections.abc import Sequence
from hashlib import blake2b

from al_framework.api import Decision, StrategyVerdict


def draw(seed: int, strategy: str, frame_id: str) -> float:
    """Return the number in [0, 1) that belongs to a strategy and a frame.

    A function of its arguments alone, so a decision can be replayed bit for bit, and no two
    strategies share a draw.
    """
    digest = blake2b(f"{seed}\0{strategy}\0{frame_id}".encode(), digest_size=8).digest()
    return float((int.from_bytes(digest, "big") >> 11) * 2**-53)


def matching(verdicts: Sequence[StrategyVerdict]) -> tuple[str, ...]:
    """Return the strategies that take the frame, in configuration order."""
    # Most have drawn nothing, and a look at that is no call.
    return tuple([one.strategy for one in verdicts if one.u is not None and one.selected])


def first_match(
    verdicts: Sequence[StrategyVerdict],
    *,
    frame_id: str,
    decided_at: float,
    seed: int,
    configuration_hash: str,
) -> Decision:
    """Take the frame if any strategy matches and its draw is below its probability."""
    takers = matching(verdicts)
    return Decision(
        frame_id=frame_id,
        decided_at=decided_at,
        seed=seed,
        verdicts=tuple(verdicts),
        matching=takers,
        outcome="selected" if takers else "not_selected",
        configuration_hash=configuration_hash,
    )
