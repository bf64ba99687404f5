"""What runs in the peer's interpreter: Roboflow Inference, doing what we do.

Each module here but ``__main__`` is a kind of work, with ``prepare(**settings) -> Work``. They
import nothing of ours, and the peer's packages by name, since our own tools do not know them.
"""

from collections.abc import Callable
from dataclasses import dataclass


def _nothing() -> object:
    return None


@dataclass(frozen=True)
class Work:
    """Something to be measured.

    Attributes:
        call: Does it once.
        outcome: Does it once more and tells, in values that JSON knows, what it led to.
    """

    call: Callable[[], object]
    outcome: Callable[[], object] = _nothing
