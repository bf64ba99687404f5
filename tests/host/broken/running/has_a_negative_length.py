"""Nobody can draw a bar of that length."""

from al_framework.api import Frame, Image, Source, hookimpl
from al_framework.testing import sample_jpeg


class Bad(Source):
    type_name = "has_a_negative_length"

    def frames(self, skip):
        yield Frame(frame_id="has_a_negative_length/0", image=Image(sample_jpeg(seed=103)))

    def __len__(self):
        return -1  # noqa: PLE0303 - the fault


@hookimpl
def al_register_sources():
    return [Bad]
