"""Write a collection as a COCO dataset: ``annotations.json`` and ``images/``.

Coordinates and scores repeat the manifest's digits; every annotation keeps its ``score``, and
``keypoint_scores`` where the model gave them. COCO has no place for whole-picture classes: they
stand on the image, as ``labels: [{category_id, score}]`` (the classes said to be there) and
``class_scores: {name: score}`` (all that the model scored). A reader of boxes ignores both.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from al_framework.api import Classification, Detections, Keypoints
from al_framework_local.catalogue import Catalogue, class_label, keypoint_names, labels_of
from al_framework_local.materialise import link_or_copy
from al_framework_local.records import Collection, Record

_Floats = npt.NDArray[np.float64]
_VISIBLE = 2


def write_coco(collection: Collection, catalogue: Catalogue, output: Path) -> int:
    """Write the dataset into an empty directory and return the number of annotations.

    Raises:
        OSError: A file cannot be written.
    """
    (output / "images").mkdir()
    with (output / "annotations.json").open("w", encoding="utf-8") as stream:
        # Streamed, since the annotations of a large collection do not fit in memory as objects.
        stream.write('{"info": {"description": "collected by al-framework"}, "licenses": [],\n')
        stream.write(f'"categories": {_dump(_categories(catalogue))},\n')
        _write_list(stream, "images", _images(collection, catalogue, output))
        stream.write(",\n")
        count = _write_list(stream, "annotations", _annotations(collection, catalogue))
        stream.write("}\n")
    return count


def _categories(catalogue: Catalogue) -> list[dict[str, Any]]:
    categories: list[dict[str, Any]] = []
    for name, index in catalogue.class_index.items():
        category = {"id": index + 1, "name": name, "supercategory": "none"}
        keypoints = catalogue.keypoint_index.get(name)
        extra = {"keypoints": list(keypoints), "skeleton": []} if keypoints else {}
        categories.append({**category, **extra})
    return categories


def _images(collection: Collection, catalogue: Catalogue, output: Path) -> Iterator[dict[str, Any]]:
    for image_id, record in enumerate(collection.records(), start=1):
        link_or_copy(collection.directory / record.file, output / "images" / record.name)
        yield _image(image_id, record, catalogue)


def _image(image_id: int, record: Record, catalogue: Catalogue) -> dict[str, Any]:
    width, height = record.datapoint.image_size
    image: dict[str, Any] = {
        "id": image_id,
        "file_name": record.name,
        "width": width,
        "height": height,
        "frame_id": record.datapoint.frame_id,
    }
    prediction = record.datapoint.prediction
    if isinstance(prediction, Classification):
        scores = dict(zip(prediction.class_name, prediction.confidence.tolist(), strict=True))
        if prediction.top is not None and prediction.top_confidence is not None:
            top_scores = {**scores, prediction.top: prediction.top_confidence}
        else:
            top_scores = scores
        image["labels"] = [
            {"category_id": catalogue.class_of(name) + 1, "score": top_scores.get(name)}
            for name in labels_of(prediction)
        ]
        image["class_scores"] = {class_label(name): score for name, score in scores.items()}
    return image


def _annotations(collection: Collection, catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    number = 0
    for image_id, record in enumerate(collection.records(), start=1):
        detections = record.datapoint.prediction
        if not isinstance(detections, Detections):
            continue
        for row in range(len(detections)):
            number += 1
            yield {
                "id": number,
                "image_id": image_id,
                **_annotation(detections, row, catalogue),
            }


def _annotation(detections: Detections, row: int, catalogue: Catalogue) -> dict[str, Any]:
    left, top, right, bottom = detections.xyxy[row].tolist()
    name = detections.class_name[row]
    annotation = {
        "category_id": catalogue.class_of(name) + 1,
        "bbox": [left, top, right - left, bottom - top],
        "area": (right - left) * (bottom - top),
        "segmentation": [],
        "iscrowd": 0,
        "score": float(detections.confidence[row]),
        **_shape(detections, row),
    }
    if detections.keypoints is not None:
        known = catalogue.keypoint_index[class_label(name)]
        annotation.update(_keypoints(detections.keypoints[row], known))
    return annotation


def _shape(detections: Detections, row: int) -> dict[str, Any]:
    mask = None if detections.masks is None else detections.masks[row]
    if mask is not None:
        width, height = mask.size
        return {
            "segmentation": {"size": [height, width], "counts": list(mask.counts)},
            "area": float(sum(mask.counts[1::2])),
        }
    rings = () if detections.polygons is None else detections.polygons[row]
    # Fewer than three points cover nothing, and pycocotools reads two as a box.
    rings = tuple(ring for ring in rings if len(ring) >= 3)
    if not rings:
        return {}
    return {
        "segmentation": [ring.ravel().tolist() for ring in rings],
        "area": sum(_area(ring) for ring in rings),
    }


def _area(ring: _Floats) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _keypoints(keypoints: Keypoints, known: dict[str, int]) -> dict[str, Any]:
    places = [known[name] for name in keypoint_names(keypoints)]
    values = np.zeros((len(known), 3))
    values[places] = [[x, y, _VISIBLE] for x, y in keypoints.xy.tolist()] if places else 0
    scores: dict[str, Any] = {}
    if keypoints.confidence is not None:
        column = np.zeros(len(known))
        column[places] = keypoints.confidence
        scores = {"keypoint_scores": column.tolist()}
    return {"keypoints": values.ravel().tolist(), "num_keypoints": len(set(places)), **scores}


def _write_list(stream: TextIO, key: str, values: Iterator[dict[str, Any]]) -> int:
    stream.write(f'"{key}": [')
    count = 0
    for count, value in enumerate(values, start=1):
        stream.write(f"{',' if count > 1 else ''}\n{_dump(value)}")
    stream.write("]")
    return count


def _dump(value: object) -> str:
    return json.dumps(value, allow_nan=False)
