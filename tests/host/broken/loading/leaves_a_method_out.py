"""An abstract method is left over."""

from al_framework.api import Sink, hookimpl


class Lazy(Sink):
    type_name = "lazy"


@hookimpl
def al_register_sinks():
    return [Lazy]
