"""It ends the process in mid-stream."""

import sys

from al_framework.api import Frame, Image, Source, hookimpl
from al_framework.testing import sample_jpeg


class Bad(Source):
    type_name = "exits_half_way"

    def frames(self, skip):
        yield Frame(frame_id="exits_half_way/0", image=Image(sample_jpeg(seed=101)))
        sys.exit(9)


@hookimpl
def al_register_sources():
    return [Bad]
