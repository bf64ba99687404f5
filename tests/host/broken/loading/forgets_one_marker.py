"""One hook is marked, the other is not."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_forgets_one_marker"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


def al_register_sources():
    return []


@hookimpl
def al_register_sinks():
    return [Good]
