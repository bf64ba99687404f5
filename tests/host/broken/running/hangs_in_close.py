"""It waits for a thread that never ends."""

import threading

from al_framework.api import Receipt, Sink, hookimpl


class Bad(Sink):
    type_name = "hangs_in_close"

    released = threading.Event()  # by the test, which leaves no thread behind

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")

    def close(self):
        self.released.wait()


@hookimpl
def al_register_sinks():
    return [Bad]
