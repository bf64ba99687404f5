"""The word `yield` is missing."""

from al_framework.api import Source, hookimpl


class Bad(Source):
    type_name = "returns_no_frames"

    def frames(self, skip):
        return None


@hookimpl
def al_register_sources():
    return [Bad]
