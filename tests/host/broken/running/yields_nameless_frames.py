"""A frame's name is text."""

from al_framework.api import Frame, Image, Source, hookimpl
from al_framework.testing import sample_jpeg


class Bad(Source):
    type_name = "yields_nameless_frames"

    def frames(self, skip):
        yield Frame(frame_id=None, image=Image(sample_jpeg(seed=105)))


@hookimpl
def al_register_sources():
    return [Bad]
