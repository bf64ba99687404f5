"""Its registration ends the process."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_exits_in_its_hook"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    raise SystemExit
