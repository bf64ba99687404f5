"""In CI nothing is left out: what tests would skip for is there.

On a machine of one's own they skip and say what to install.
"""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif("CI" not in os.environ, reason="this is not CI")


@pytest.mark.parametrize("program", ["redis-server", "strace"])
def test_the_programs_are_installed(program):
    assert shutil.which(program) is not None, f".ci/run has to install {program}"


def test_the_library_that_fakes_the_time_is_installed():
    assert [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")], ".ci/run has to install it"


@pytest.mark.parametrize("module", ["av", "cv2", "onnxruntime", "prometheus_client", "redis"])
def test_the_extras_are_installed(module):
    assert importlib.util.find_spec(module) is not None, f"tox.ini has to install {module}"
