"""Its stream ends too early."""

from al_framework.api import Frame, Image, Source, hookimpl
from al_framework.testing import sample_jpeg


class Bad(Source):
    type_name = "raises_half_way"

    def frames(self, skip):
        yield Frame(frame_id="raises_half_way/0", image=Image(sample_jpeg(seed=102)))
        raise RuntimeError("the cable is out")


@hookimpl
def al_register_sources():
    return [Bad]
