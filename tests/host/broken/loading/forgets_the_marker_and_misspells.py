"""Two slips, each of which hides the other."""

from al_framework.api import Receipt, Sink


class Good(Sink):
    type_name = "good_forgets_the_marker_and_misspells"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


def al_register_sink():
    return [Good]
