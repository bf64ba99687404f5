"""A hook that there has never been."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_invents_a_hook"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def xyz():
    return [Good]
