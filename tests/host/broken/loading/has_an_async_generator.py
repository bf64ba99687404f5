"""A notification that would never run."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_has_an_async_generator"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
async def al_run_finished():
    yield
