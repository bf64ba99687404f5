"""Its entry point names None."""

from al_framework.api import Receipt, Sink


class Good(Sink):
    type_name = "good_announces_nothing"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


nothing = None
