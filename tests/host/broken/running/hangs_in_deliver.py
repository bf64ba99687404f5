"""It waits for an answer that never comes."""

import threading

from al_framework.api import Receipt, Sink, hookimpl


class Bad(Sink):
    type_name = "hangs_in_deliver"

    released = threading.Event()  # by the test, which leaves no thread behind

    def deliver(self, datapoint, checkpoint):
        self.released.wait()
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    return [Bad]
