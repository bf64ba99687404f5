"""Nobody awaits a hook."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_has_an_async_hook"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
async def al_register_sinks():
    return [Good]
