"""The sink `null`: take everything and keep nothing, for measuring and trying out."""

from al_framework.api import Checkpoint, Datapoint, Receipt, Sink


class NullSink(Sink):
    """Forget every datapoint."""

    type_name = "null"

    def deliver(self, datapoint: Datapoint, checkpoint: Checkpoint) -> Receipt:
        """Say that the datapoint is safe, and store nothing."""
        del datapoint, checkpoint
        return Receipt(status="created")
