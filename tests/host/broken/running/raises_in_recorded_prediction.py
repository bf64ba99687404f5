"""The file beside the picture is damaged."""

from al_framework.api import Frame, Image, Source, hookimpl
from al_framework.testing import sample_jpeg


class Bad(Source):
    type_name = "raises_in_recorded_prediction"

    def frames(self, skip):
        yield Frame(frame_id="raises_in_recorded_prediction/0", image=Image(sample_jpeg(seed=104)))

    def recorded_prediction(self, frame):
        raise ValueError("line 3")


@hookimpl
def al_register_sources():
    return [Bad]
