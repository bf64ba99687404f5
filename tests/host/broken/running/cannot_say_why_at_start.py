"""It cannot get ready, and its error has no text."""

from al_framework.api import Receipt, Sink, hookimpl


class MuteError(Exception):
    def __str__(self):
        raise ZeroDivisionError("nothing to say")


class Bad(Sink):
    type_name = "cannot_say_why_at_start"

    def start(self):
        raise MuteError

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    return [Bad]
