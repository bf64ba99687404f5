"""It does not know where it delivers to, and its error has no text."""

from al_framework.api import Receipt, Sink, hookimpl


class MuteError(Exception):
    def __str__(self):
        raise ZeroDivisionError("nothing to say")


class Bad(Sink):
    type_name = "cannot_say_why_in_target"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")

    @property
    def target(self):
        raise MuteError


@hookimpl
def al_register_sinks():
    return [Bad]
