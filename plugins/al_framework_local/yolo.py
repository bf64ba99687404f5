"""Write a collection as a YOLO dataset: ``data.yaml``, ``images/`` and ``labels/``.

One task for the whole dataset, as YOLO wants it: segmentation where any object has a shape (plain
boxes become four corners), else pose where any has keypoints, else detection. Scores have no place
in it; COCO keeps them. Coordinates are clipped to the picture, since trainers refuse others.

A collection of multi-class classifications becomes ``train/<class>/`` instead, the layout that
YOLO classifiers train from.
"""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from al_framework.api import Classification, Detections, Prediction
from al_framework_local.catalogue import Catalogue, class_label, keypoint_names, labels_of
from al_framework_local.materialise import link_or_copy
from al_framework_local.names import slug
from al_framework_local.outline import joined, rle_rings
from al_framework_local.records import Collection

_Floats = npt.NDArray[np.float64]
_VISIBLE = "2"


def write_yolo(collection: Collection, catalogue: Catalogue, output: Path) -> tuple[int, list[str]]:
    """Write the dataset into an empty directory.

    Returns:
        The number of labels, and what had to be left out, a line each.

    Raises:
        OSError: A file cannot be written.
    """
    if catalogue.classifications and not catalogue.detections:
        return _write_classes(collection, catalogue, output)
    problems = []
    count = 0
    pictures, labels = output / "images", output / "labels"
    pictures.mkdir()
    labels.mkdir()
    for record in collection.records():
        prediction = record.datapoint.prediction
        if isinstance(prediction, Classification):
            problems.append(
                f"{record.file}: a classification has no place among YOLO boxes: it is left out, "
                "--format coco keeps it"
            )
            continue
        link_or_copy(collection.directory / record.file, pictures / record.name)
        # No file for an unlabelled picture: an empty one would say that nothing is in it.
        if isinstance(prediction, Detections):
            lines = _lines(prediction, record.datapoint.image_size, catalogue)
            text = "".join(f"{line}\n" for line in lines)
            (labels / record.name).with_suffix(".txt").write_text(text, encoding="ascii")
            count += len(lines)
    (output / "data.yaml").write_text(_data_yaml(catalogue), encoding="utf-8")
    return count, problems


def _data_yaml(catalogue: Catalogue) -> str:
    lines = [
        "# Collected by al-framework. There is no split: both name the same pictures.",
        "train: images",
        "val: images",
        f"nc: {len(catalogue.class_index)}",
    ]
    if _is_pose(catalogue):
        lines.append(f"kpt_shape: [{len(_all_keypoints(catalogue))}, 3]")
    lines.append("names:" if catalogue.class_index else "names: {}")
    # JSON's strings are YAML's, once what JSON leaves unescaped is printable.
    lines += [
        f"  {i}: {json.dumps(n, ensure_ascii=False)}" for n, i in catalogue.class_index.items()
    ]
    return "\n".join(lines) + "\n"


def _lines(detections: Detections, size: tuple[int, int], catalogue: Catalogue) -> list[str]:
    scale = np.array(size, dtype=np.float64)
    lines = []
    for row, name in enumerate(detections.class_name):
        if catalogue.has_shapes:
            values = _numbers(_outline(detections, row) / scale)
        else:
            corners = np.clip(detections.xyxy[row].reshape(2, 2) / scale, 0.0, 1.0)
            values = _numbers(np.stack([corners.mean(axis=0), corners[1] - corners[0]]))
            if _is_pose(catalogue):
                values += _pose(detections, row, scale, catalogue)
        lines.append(" ".join([str(catalogue.class_of(name)), *values]))
    return lines


def _outline(detections: Detections, row: int) -> _Floats:
    mask = None if detections.masks is None else detections.masks[row]
    rings = [] if mask is None else rle_rings(mask)
    if not rings and detections.polygons is not None:
        rings = [ring for ring in detections.polygons[row] if len(ring) >= 3]
    if rings:
        return joined(rings)
    left, top, right, bottom = detections.xyxy[row].tolist()
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _pose(detections: Detections, row: int, scale: _Floats, catalogue: Catalogue) -> list[str]:
    triples = [["0", "0", "0"] for _ in _all_keypoints(catalogue)]
    if detections.keypoints is not None:
        keypoints = detections.keypoints[row]
        places = _all_keypoints(catalogue)
        for name, xy in zip(keypoint_names(keypoints), keypoints.xy, strict=True):
            triples[places[name]] = [*_numbers(xy / scale), _VISIBLE]
    return [value for triple in triples for value in triple]


def _is_pose(catalogue: Catalogue) -> bool:
    return catalogue.has_keypoints and not catalogue.has_shapes


def _all_keypoints(catalogue: Catalogue) -> dict[str, int]:
    # YOLO knows one list of keypoints for all classes.
    names = [name for known in catalogue.keypoint_index.values() for name in known]
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def _numbers(values: _Floats) -> list[str]:
    return [repr(value) for value in np.clip(values, 0.0, 1.0).ravel().tolist()]


def _write_classes(
    collection: Collection, catalogue: Catalogue, output: Path
) -> tuple[int, list[str]]:
    problems = []
    count = 0
    directories = _class_directories(catalogue)
    for record in collection.records():
        name = _only_class(record.datapoint.prediction)
        if name is None:
            problems.append(
                f"{record.file}: it has not exactly one class: YOLO has no place for it, it is "
                "left out, --format coco keeps it"
            )
            continue
        directory = output / "train" / directories[class_label(name)]
        directory.mkdir(parents=True, exist_ok=True)
        link_or_copy(collection.directory / record.file, directory / record.name)
        count += 1
    return count, problems


def _only_class(prediction: Prediction | None) -> str | None:
    if not isinstance(prediction, Classification):
        return None
    labels = labels_of(prediction)
    return labels[0] if len(labels) == 1 else None


def _class_directories(catalogue: Catalogue) -> dict[str, str]:
    directories: dict[str, str] = {}
    for name, index in catalogue.class_index.items():
        wanted = slug(name, empty="class")
        taken = wanted.casefold() in {other.casefold() for other in directories.values()}
        directories[name] = f"{wanted}-{index}" if taken or wanted != name else wanted
    return directories
