"""It has no frames, since its own event loop ends."""

import asyncio

from al_framework.api import Source, hookimpl


class Bad(Source):
    type_name = "is_cancelled_in_frames"

    def frames(self, skip):
        raise asyncio.CancelledError("too late")


@hookimpl
def al_register_sources():
    return [Bad]
