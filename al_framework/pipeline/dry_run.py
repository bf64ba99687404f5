"""Take datapoints to nowhere, so that a configuration can be tried without writing anything."""

from collections import Counter
from collections.abc import Sequence

from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.spool import Acceptance, BatchKey, Candidate, SeenFrame
from al_framework.pipeline.spool.batches import has_room


class DryRun:
    """Stands in for the spool: the limits hold, nothing is kept.

    Batches begin empty, since nobody is asked what they hold.

    Args:
        ledger: The limits; one that lives in memory.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._places: Counter[BatchKey] = Counter()

    def accept(self, entries: Sequence[Candidate | SeenFrame]) -> list[Acceptance]:
        """Say what would have become of each candidate."""
        return [self._charge(entry) for entry in entries if isinstance(entry, Candidate)]

    def _charge(self, candidate: Candidate) -> Acceptance:
        token = candidate.item_id
        paid = self._ledger.reserve(candidate.matching, token, candidate.decided_at, None)
        if paid is None:
            return Acceptance(item_id=token, status="limited")
        if not has_room(self._places[candidate.batch], candidate.max_batch_images):
            self._ledger.release(token, None)
            return Acceptance(item_id=token, status="batch_full")
        self._places[candidate.batch] += 1
        return Acceptance(item_id=token, status="accepted", strategy=paid.strategy)
