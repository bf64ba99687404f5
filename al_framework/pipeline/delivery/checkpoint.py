"""A sink's progress with one datapoint, kept in the spool."""

from collections.abc import Mapping
from types import MappingProxyType

from al_framework.api import LeaseLostError, SpoolError
from al_framework.pipeline.spool import Deliveries, Lease


class LeaseCheckpoint:
    """The `Checkpoint` of one leased delivery.

    Args:
        deliveries: Where it is kept.
        lease: The delivery.

    Attributes:
        failed: Whether the spool could not keep something, or the lease was lost.
    """

    def __init__(self, deliveries: Deliveries, lease: Lease) -> None:
        self._deliveries = deliveries
        self._lease = lease
        self._state = dict(lease.checkpoint)
        self.failed = False

    @property
    def state(self) -> Mapping[str, str]:
        """What has been saved so far, read-only."""
        return MappingProxyType(self._state)

    def save(self, **values: str) -> None:
        """Add to the state; durable when it returns.

        Raises:
            TypeError: A value is not a string.
            LeaseLostError: Another worker has taken the datapoint over; stop at once.
            SpoolError: The spool cannot be written.
        """
        for name, value in values.items():
            if not isinstance(value, str):
                raise TypeError(
                    f"checkpoint of {self._lease.item_id!r}: {name!r} is {value!r}, which is not a"
                    " string; save strings only"
                )
        state = {**self._state, **values}
        try:
            self._deliveries.checkpoint(self._lease, state)
        except (LeaseLostError, SpoolError):
            self.failed = True  # so what comes out of the sink now is not its own fault
            raise
        self._state = state
