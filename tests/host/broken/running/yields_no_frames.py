"""Bytes are no frame."""

from al_framework.api import Source, hookimpl
from al_framework.testing import sample_jpeg


class Bad(Source):
    type_name = "yields_no_frames"

    def frames(self, skip):
        yield sample_jpeg()


@hookimpl
def al_register_sources():
    return [Bad]
