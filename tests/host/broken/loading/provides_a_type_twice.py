"""One class, registered two times."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_provides_a_type_twice"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    return [Good, Good]
