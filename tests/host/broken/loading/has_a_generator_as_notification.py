"""A notification of which no line would ever run."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_has_a_generator_as_notification"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_run_finished():
    yield
