"""A component that nobody registers."""

from al_framework.api import Receipt, Sink


class Good(Sink):
    type_name = "good_has_no_hooks"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")
