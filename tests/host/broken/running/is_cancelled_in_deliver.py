"""Every datapoint is too much for it, since its own event loop ends."""

import asyncio

from al_framework.api import Sink, hookimpl


class Bad(Sink):
    type_name = "is_cancelled_in_deliver"

    def deliver(self, datapoint, checkpoint):
        raise asyncio.CancelledError("too late")


@hookimpl
def al_register_sinks():
    return [Bad]
