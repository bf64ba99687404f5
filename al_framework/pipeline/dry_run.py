"""Take datapoints to nowhere, so that a configuration can be tried without writing anything."""

from collections.abc import Sequence

from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.spool import Acceptance, Candidate, SeenFrame


class DryRun:
    """Stands in for the spool: the limits hold, nothing is kept.

    Args:
        ledger: The limits; one that lives in memory.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def accept(self, entries: Sequence[Candidate | SeenFrame]) -> list[Acceptance]:
        """Say what would have become of each candidate."""
        results = []
        for entry in entries:
            if isinstance(entry, Candidate):
                reservation = self._ledger.reserve(
                    entry.matching, entry.item_id, entry.decided_at, None
                )
                results.append(
                    Acceptance(
                        item_id=entry.item_id,
                        status="limited" if reservation is None else "accepted",
                        strategy=None if reservation is None else reservation.strategy,
                    )
                )
        return results
