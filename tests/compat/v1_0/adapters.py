"""Prediction adapters as they were written for version 1.0 of the plugin API. Never edited."""

from collections.abc import Iterable

import numpy as np

from al_framework.api import (
    Crop,
    Detections,
    Frame,
    Image,
    Prediction,
    PredictionAdapter,
    PredictionError,
    Unlabelled,
    hookimpl,
)


class Rows(PredictionAdapter):
    """``{"v1": [[left, top, right, bottom, confidence, class], …]}``."""

    type_name = "v1_rows"

    def accepts(self, document: object) -> bool:
        return isinstance(document, dict) and isinstance(document.get("v1"), list)

    def adapt(self, document: object, *, frame: Frame, prediction_type: str | None) -> Prediction:
        assert isinstance(document, dict)
        rows = document["v1"]
        if any(len(row) != 6 for row in rows):
            raise PredictionError("a row has six columns", frame_id=frame.frame_id)
        return Detections(
            xyxy=np.array([row[:4] for row in rows], dtype=np.float64).reshape(-1, 4),
            confidence=np.array([row[4] for row in rows], dtype=np.float64),
            class_name=tuple(row[5] for row in rows),
            image_size=frame.image.size,
            prediction_type=prediction_type or "object-detection",
            document=document,
        )


class Quarters(PredictionAdapter):
    """``{"v1_quarters": [name, …]}``: one crop of the upper left quarter for each name."""

    type_name = "v1_quarters"

    def accepts(self, document: object) -> bool:
        return isinstance(document, dict) and "v1_quarters" in document

    def split(self, document: object, *, frame: Frame) -> Iterable[tuple[Frame, object]]:
        assert isinstance(document, dict)
        width, height = frame.image.size
        for name in document["v1_quarters"]:
            crop = Crop(
                frame_id=frame.frame_id,
                detection_id=name,
                left=0,
                top=0,
                width=width // 2,
                height=height // 2,
            )
            pixels = np.ascontiguousarray(frame.image.pixels()[: height // 2, : width // 2])
            yield (
                Frame(
                    frame_id=f"{frame.frame_id}#{name}",
                    image=Image(pixels),
                    captured_at=frame.captured_at,
                    source=frame.source,
                    attributes=frame.attributes,
                    parent=crop,
                ),
                name,
            )

    def adapt(self, document: object, *, frame: Frame, prediction_type: str | None) -> Prediction:
        return Unlabelled(
            image_size=frame.image.size,
            prediction_type=prediction_type or "crop",
            document=document,
        )


@hookimpl
def al_register_prediction_adapters() -> list[type[PredictionAdapter]]:
    return [Rows, Quarters]
