"""Draw a thumbnail with what the model saw on it, as one SVG."""

import base64
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from al_framework.api import Detections
from al_framework_local.outline import rle_rings
from al_framework_local.page.labels import Label, placed
from al_framework_local.page.palette import Palette
from al_framework_local.page.text import escaped
from al_framework_local.records import Record

# Every picture sits in one frame of this size, so that cards line up and labels are of one size.
WIDTH, HEIGHT = 360, 270
_QUALITY_PERCENT = 76
_MAX_ROWS = 200


def drawing(directory: Path, record: Record, palette: Palette) -> str:
    """Return the SVG element: the thumbnail, shapes, boxes, keypoints and labels."""
    width, height = record.datapoint.image_size
    scale = min(WIDTH / width, HEIGHT / height)
    left, top = (WIDTH - width * scale) / 2, (HEIGHT - height * scale) / 2
    parts = [_thumbnail(directory / record.file, left, top, width * scale, height * scale)]
    prediction = record.datapoint.prediction
    if isinstance(prediction, Detections):
        place = _Place(scale, np.array([left, top]))
        parts += _detections(prediction, place, palette)
    name = escaped(record.datapoint.frame_id)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">{"".join(parts)}</svg>'
    )


class _Place:
    """Where pixels of the stored picture are in the drawing."""

    def __init__(self, scale: float, offset: npt.NDArray[np.float64]) -> None:
        self._scale = scale
        self._offset = offset

    def of(self, xy: npt.NDArray[np.float64]) -> list[list[float]]:
        points: list[list[float]] = (xy.reshape(-1, 2) * self._scale + self._offset).tolist()
        return points


def _thumbnail(path: Path, left: float, top: float, width: float, height: float) -> str:
    import PIL.Image

    side = (max(1, round(width)), max(1, round(height)))
    try:
        with PIL.Image.open(path, formats=("JPEG",)) as picture:
            picture.draft("RGB", side)
            small = picture.convert("RGB").resize(side, PIL.Image.Resampling.LANCZOS)
    except Exception:  # noqa: BLE001 - one missing or broken picture must not cost the page
        return (
            f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" class="gone">the picture is not there</text>'
        )
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=_QUALITY_PERCENT, optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return (
        f'<image x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'preserveAspectRatio="none" href="data:image/jpeg;base64,{data}"/>'
    )


def _detections(detections: Detections, place: _Place, palette: Palette) -> list[str]:
    # Least confident first: what the model is sure of lies on top and is labelled first.
    rows = np.argsort(detections.confidence, kind="stable").tolist()[-_MAX_ROWS:]
    shapes: list[str] = []
    labels: list[Label] = []
    for row in rows:
        name = detections.class_name[row]
        score = float(detections.confidence[row])
        (left, top), (right, bottom) = place.of(detections.xyxy[row])
        path = _path(detections, row, place)
        drawn = f'<path d="{path}" fill-rule="evenodd"/>' if path else ""
        box = f"M{left:.1f} {top:.1f}H{right:.1f}V{bottom:.1f}H{left:.1f}Z"
        color, dash = palette.color(name), palette.dash(name)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        shapes.append(
            f'<g fill="{color}" stroke="{color}"><title>{escaped(name)} {score:.3f}</title>'
            f'{drawn}<path class="case" d="{box}"/><path class="box" d="{box}"{dashes}/>'
            f"{_keypoints(detections, row, place)}</g>"
        )
        labels.append(Label(name=name, score=score, box=(left, top, right, bottom)))
    labels.reverse()
    return [*shapes, *placed(labels, palette, width=WIDTH, height=HEIGHT)]


def _path(detections: Detections, row: int, place: _Place) -> str:
    mask = None if detections.masks is None else detections.masks[row]
    if mask is not None:
        rings = rle_rings(mask, max_side=WIDTH)
    else:
        rings = [] if detections.polygons is None else list(detections.polygons[row])
    parts = []
    for ring in rings:
        points = " ".join(f"{x:.1f} {y:.1f}" for x, y in place.of(ring))
        parts.append(f"M{points}Z" if points else "")
    return "".join(parts)


def _keypoints(detections: Detections, row: int, place: _Place) -> str:
    if detections.keypoints is None:
        return ""
    points = place.of(detections.keypoints[row].xy)
    return "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points)
