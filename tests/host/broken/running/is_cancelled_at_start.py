"""It cannot get ready, since its own event loop ends."""

import asyncio

from al_framework.api import Receipt, Sink, hookimpl


class Bad(Sink):
    type_name = "is_cancelled_at_start"

    def start(self):
        raise asyncio.CancelledError("too late")

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    return [Bad]
