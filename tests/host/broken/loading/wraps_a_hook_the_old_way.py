"""As above, in pluggy's first manner."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_wraps_a_hook_the_old_way"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl(hookwrapper=True)
def al_register_sinks():
    yield
