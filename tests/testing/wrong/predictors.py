"""Predictors, each wrong in one way."""

import dataclasses

import numpy as np

from al_framework.api import Classification, Predictor
from al_framework.testing import PredictorContract, sample_detections


class GoodPredictor(Predictor):
    type_name = "good"

    def predict(self, frame):
        frame.image.pixels()
        return dataclasses.replace(sample_detections(), image_size=frame.image.size)


class PredictorTest(PredictorContract):
    component = GoodPredictor


class PredictsNothing(GoodPredictor):
    def predict(self, frame):
        return None


class PredictsDifferently(GoodPredictor):
    calls = 0

    def predict(self, frame):
        self.calls += 1
        return dataclasses.replace(sample_detections(self.calls), image_size=frame.image.size)


class PredictsInItsOwnPixels(GoodPredictor):
    def predict(self, frame):
        return dataclasses.replace(sample_detections(), image_size=(416, 416))


class PredictsNaN(GoodPredictor):
    def predict(self, frame):
        return Classification(
            class_name=("a",), confidence=np.array([np.nan]), image_size=frame.image.size
        )


class RaisesPillowsErrors(GoodPredictor):
    def predict(self, frame):
        try:
            return super().predict(frame)
        except Exception as exc:
            raise OSError("image file is truncated") from exc


class FailsOnSmallPictures(GoodPredictor):
    def predict(self, frame):
        found = super().predict(frame)
        assert min(frame.image.size) > 8, "too small"
        return found


class IgnoresOrientation(GoodPredictor):
    def predict(self, frame):
        found = super().predict(frame)
        return dataclasses.replace(found, image_size=(max(frame.image.size), min(frame.image.size)))


class GivesUpForGood(GoodPredictor):
    is_broken = False

    def predict(self, frame):
        try:
            found = super().predict(frame)
        except Exception:
            self.is_broken = True
            raise
        return None if self.is_broken else found


CONTRACTS = (PredictorTest,)
WRONG = [
    (
        PredictorTest,
        PredictsNothing,
        "predictions_are_usable_and_repeatable",
        "predict gives None for 'frame-1'",
    ),
    (
        PredictorTest,
        PredictsDifferently,
        "predictions_are_usable_and_repeatable",
        "predictions for 'frame-1' differ",
    ),
    (
        PredictorTest,
        PredictsInItsOwnPixels,
        "predictions_are_usable_and_repeatable",
        r"image_size is \(416, 416\), not \(64, 48\)",
    ),
    (
        PredictorTest,
        PredictsNaN,
        "predictions_are_usable_and_repeatable",
        "malformed: confidence holds a number that is not finite",
    ),
    (
        PredictorTest,
        RaisesPillowsErrors,
        "a_broken_picture_is_a_frame_error",
        r"the picture 'empty' raises OSError\(.*\): it has to be a FrameError",
    ),
    (
        PredictorTest,
        FailsOnSmallPictures,
        "every_kind_of_frame_is_looked_at",
        r"the picture 'one pixel' raises AssertionError\(.*\): it has to be a FrameError",
    ),
    (
        PredictorTest,
        IgnoresOrientation,
        "every_kind_of_frame_is_looked_at",
        r"image_size is \(64, 48\), not \(48, 64\)",
    ),
    (
        PredictorTest,
        GivesUpForGood,
        "a_broken_picture_is_a_frame_error",
        "predict gives None for 'frame-1'",
    ),
]
