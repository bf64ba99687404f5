"""A predictor as it was written for version 1.0 of the plugin API. Never edited."""

import numpy as np
from pydantic import Field

from al_framework.api import (
    Classification,
    Detections,
    Frame,
    FrameError,
    Keypoints,
    MissingExtraError,
    Options,
    Prediction,
    Predictor,
    RleMask,
    Unlabelled,
    hookimpl,
    require,
)


class OracleOptions(Options):
    model_id: str = Field(default="oracle/1", description="What to call the model.")


class Oracle(Predictor[OracleOptions]):
    """Answers with another kind of prediction for each frame, every field filled."""

    type_name = "v1_oracle"

    def start(self) -> None:
        self._math = require("math", extra="oracle", distribution="al-framework-v1")
        try:
            require("no_such_module_at_all", extra="oracle")
        except MissingExtraError as exc:
            self.missing = (exc.package, exc.extra, exc.distribution)

    def predict(self, frame: Frame) -> object:
        number = int(frame.frame_id.rpartition("/")[2])
        brightness = float(frame.image.pixels("bgr").mean())
        answers = (
            self._nothing,
            self._detections,
            self._classification,
            self._unlabelled,
            self._document,
        )
        return answers[min(number, len(answers) - 1)](frame, brightness)

    def _nothing(self, frame: Frame, brightness: float) -> Prediction:
        raise FrameError(f"brightness {brightness} is too little", frame_id=frame.frame_id)

    def _detections(self, frame: Frame, brightness: float) -> Prediction:
        width, height = frame.image.size
        mask = np.zeros((height, width), dtype=np.bool_)
        mask[4:20, 4:20] = True
        return Detections(
            xyxy=np.array([[4.0, 4.0, 20.0, 20.0]]),
            confidence=np.array([0.55]),
            class_name=("cat",),
            image_size=(width, height),
            prediction_type="instance-segmentation",
            class_id=np.array([0]),
            polygons=((np.array([[4.0, 4.0], [20.0, 4.0], [20.0, 20.0]]),),),
            masks=(RleMask.from_array(mask),),
            keypoints=(
                Keypoints(
                    xy=np.array([[8.0, 8.0]]),
                    confidence=np.array([0.9]),
                    class_name=("nose",),
                    class_id=np.array([0]),
                ),
            ),
            data={"detection_id": ["d-1"]},
            embedding=np.array([0.25, self._math.sqrt(0.25)]),
            model_id=self.options.model_id,
            inference_id="inference-1",
            document={"brightness": brightness},
        )

    def _classification(self, frame: Frame, brightness: float) -> Prediction:
        return Classification(
            class_name=("cat", "dog"),
            confidence=np.array([0.6, 0.4]),
            image_size=frame.image.size,
            prediction_type="classification",
            top="cat",
            top_confidence=0.6,
            predicted=("cat",),
            embedding=None,
            model_id=self.options.model_id,
            inference_id="inference-2",
            document={"brightness": brightness},
        )

    def _unlabelled(self, frame: Frame, brightness: float) -> Prediction:
        return Unlabelled(
            image_size=frame.image.size,
            prediction_type="stub",
            model_id=self.options.model_id,
            inference_id="inference-3",
            document={"brightness": brightness},
        )

    def _document(self, frame: Frame, brightness: float) -> object:
        return {"v1": [[1.0, 1.0, 9.0, 9.0, 0.5, "cat"]], "brightness": brightness}


@hookimpl
def al_register_predictors() -> list[type[Oracle]]:
    return [Oracle]
