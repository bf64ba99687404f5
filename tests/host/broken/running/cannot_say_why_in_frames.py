"""It has no frames, and its error has no text."""

from al_framework.api import Source, hookimpl


class MuteError(Exception):
    def __str__(self):
        raise ZeroDivisionError("nothing to say")


class Bad(Source):
    type_name = "cannot_say_why_in_frames"

    def frames(self, skip):
        raise MuteError


@hookimpl
def al_register_sources():
    return [Bad]
