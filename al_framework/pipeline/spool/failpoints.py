"""Named points at which a test can stop the process: between two steps of which both matter."""

from collections.abc import Callable
from typing import TypeAlias

Failpoint: TypeAlias = Callable[[str], None]

# In the order in which a datapoint passes them, and then those of the upkeep; a test stops at
# each of them, twice.
FAILPOINTS = (
    "locked",
    "reserved",
    "filled",
    "written",
    "synced",
    "inserted",
    "committed",
    "evicted",
    "leased",
    "uploaded",
    "checkpointed",
    "answered",
    "ended",
    "prepaid",
    "revived",
    "retried",
    "buried",
    "dropped",
    "released",
    "swept",
    "set_aside",
    "rebuilding",
)


def no_failpoint(name: str) -> None:
    """Go on."""
    del name
