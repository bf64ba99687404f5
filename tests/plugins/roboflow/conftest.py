"""The adapter of Roboflow's documents."""

import pytest

from al_framework.api import Options
from al_framework.testing import make_context, sample_frame
from al_framework_roboflow.response import RoboflowResponse


@pytest.fixture
def adapt(tmp_path):
    """Read a document as a server's answer about a picture."""

    adapter = RoboflowResponse(Options(), make_context(tmp_path, name="server"))

    def adapt(given, prediction_type=None, frame=None):
        return adapter.adapt(given, frame=frame or sample_frame(), prediction_type=prediction_type)

    return adapt
