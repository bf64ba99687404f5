"""Its index cannot be written, since its own event loop ends."""

import asyncio

from al_framework.api import Receipt, Sink, hookimpl


class Bad(Sink):
    type_name = "is_cancelled_in_finish_run"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")

    def finish_run(self, summary):
        raise asyncio.CancelledError("too late")


@hookimpl
def al_register_sinks():
    return [Bad]
