"""Verdicts → Decision: which strategies take the frame.

`first_match` is Roboflow's rule: every strategy is asked, each makes its own draw, and later the
first one in configuration order whose limits have room pays. Windows and budgets will stand here
beside it.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b

from al_framework.api import Decision, StrategyVerdict


def draw(seed: int, strategy: str, frame_id: str) -> float:
    """Return the number in [0, 1) that belongs to a strategy and a frame.

    A function of its arguments alone, so a decision can be replayed bit for bit, and no two
    strategies share a draw.
    """
    return drawer(seed, strategy)(frame_id)


def drawer(seed: int, strategy: str) -> Callable[[str], float]:
    """Return the function that draws for one strategy: its texts to be hashed begin alike."""
    beginning = blake2b(f"{seed}\0{strategy}\0".encode(), digest_size=8)

    def draw_for(frame_id: str) -> float:
        whole = beginning.copy()
        whole.update(frame_id.encode())
        return float((int.from_bytes(whole.digest(), "big") >> 11) * 2**-53)

    return draw_for


def matching(verdicts: Sequence[StrategyVerdict]) -> tuple[str, ...]:
    """Return the strategies that take the frame, in configuration order."""
    takers: tuple[str, ...] = ()
    for one in verdicts:
        u, verdict = one.u, one.verdict
        if u is not None and verdict.match and u < verdict.probability:  # its `selected`, uncalled
            takers += (one.strategy,)
    return takers


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
