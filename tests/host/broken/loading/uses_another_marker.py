"""The marker of another project that builds on pluggy."""

import pluggy

from al_framework.api import Receipt, Sink

hookimpl = pluggy.HookimplMarker("pytest")


class Good(Sink):
    type_name = "good_uses_another_marker"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    return [Good]
