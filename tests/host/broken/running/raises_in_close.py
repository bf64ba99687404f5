"""It cannot let go."""

from al_framework.api import Receipt, Sink, hookimpl


class Bad(Sink):
    type_name = "raises_in_close"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")

    def close(self):
        raise RuntimeError("still busy")


@hookimpl
def al_register_sinks():
    return [Bad]
