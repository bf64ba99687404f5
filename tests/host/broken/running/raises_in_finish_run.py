"""Its index cannot be written."""

from al_framework.api import Receipt, Sink, hookimpl


class Bad(Sink):
    type_name = "raises_in_finish_run"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")

    def finish_run(self, summary):
        raise RuntimeError("no index")


@hookimpl
def al_register_sinks():
    return [Bad]
