"""What a whole collection contains, which a dataset must know before its first label.

Classes are numbered by first appearance in the manifest: the manifest only grows, so a class keeps
its number however much is collected later.
"""

from collections.abc import Sequence

from al_framework.api import Classification, Detections, Keypoints, Prediction
from al_framework_local.names import printable


class Catalogue:
    """The classes, keypoints and tasks of a collection.

    Attributes:
        class_index: Class names, as datasets spell them, with their numbers from 0.
        keypoint_index: For each class its keypoints' names, with their numbers from 0.
        has_shapes: Whether any object has a polygon or a mask.
        has_keypoints: Whether any object has keypoints.
        detections: Pictures with detections, with none found included.
        classifications: Pictures with a classification.
    """

    def __init__(self) -> None:
        self.class_index: dict[str, int] = {}
        self.keypoint_index: dict[str, dict[str, int]] = {}
        self.has_shapes = False
        self.has_keypoints = False
        self.detections = 0
        self.classifications = 0

    def add(self, prediction: Prediction | None) -> None:
        """Take note of one picture's prediction."""
        if isinstance(prediction, Classification):
            self.classifications += 1
            for name in labels_of(prediction):
                self._number(name)
        elif isinstance(prediction, Detections):
            self.detections += 1
            self._add_detections(prediction)

    def class_of(self, name: str) -> int:
        """Return a class's number, from 0."""
        return self.class_index[class_label(name)]

    def _add_detections(self, detections: Detections) -> None:
        for row, name in enumerate(detections.class_name):
            self._number(name)
            has_polygon = detections.polygons is not None and bool(detections.polygons[row])
            has_mask = detections.masks is not None and detections.masks[row] is not None
            self.has_shapes = self.has_shapes or has_polygon or has_mask
            if detections.keypoints is not None:
                self.has_keypoints = True
                known = self.keypoint_index.setdefault(class_label(name), {})
                for keypoint in keypoint_names(detections.keypoints[row]):
                    known.setdefault(keypoint, len(known))

    def _number(self, name: str) -> None:
        self.class_index.setdefault(class_label(name), len(self.class_index))


def class_label(name: str) -> str:
    """Return a class's name as datasets spell it: it may come from anywhere."""
    return printable(name)


def labels_of(classification: Classification) -> tuple[str, ...]:
    """Return the classes that a picture is said to show: the top one, or all predicted ones."""
    if classification.predicted is not None:
        return classification.predicted
    return () if classification.top is None else (classification.top,)


def keypoint_names(keypoints: Keypoints) -> Sequence[str]:
    """Return one name per keypoint, its number where the model names none."""
    if keypoints.class_name:
        return [printable(name) for name in keypoints.class_name]
    return [str(number) for number in range(len(keypoints.xy))]
