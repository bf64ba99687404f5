"""The predictor passes the tests that strangers' predictors have to pass."""

import shutil

import pytest

from al_framework.testing import PredictorContract
from al_framework_onnx.predictor import OnnxPredictor


class TestOnnxPredictor(PredictorContract):
    component = OnnxPredictor
    options = {"model": "nanodet_416.onnx", "decoder": "nanodet"}

    @pytest.fixture(autouse=True)
    def _model(self, tmp_path, nanodet_file):
        shutil.copyfile(nanodet_file, tmp_path / nanodet_file.name)
