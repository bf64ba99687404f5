"""The step ``DetectionsConsensus``: keep what several models agree on.

Source: Roboflow inference 0.12.1, ``core/workflows/core_steps/fusion/detections_consensus.py``.
"""

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import AliasChoices, Field

from al_framework.api import PredictionError
from al_framework_roboflow.workflow.elements import Failure, Item, StepOutput, by_key
from al_framework_roboflow.workflow.execution import Execution
from al_framework_roboflow.workflow.steps.base import (
    Count,
    Fraction,
    Kind,
    OrInput,
    OutputReference,
    Reference,
    Step,
    kinds,
)
from al_framework_roboflow.workflow.steps.transforming import source_references

Aggregation: TypeAlias = Literal["average", "max", "min"]
Entry: TypeAlias = Mapping[str, Any]

_AGGREGATE: Mapping[Aggregation, Callable[[Sequence[float]], float]] = {
    "average": statistics.mean,
    "max": max,
    "min": min,
}


class DetectionsConsensus(Step):
    """Merges the detections of several models where enough of them overlap."""

    types = ("DetectionsConsensus",)
    outputs: ClassVar[Mapping[str, Kind]] = {
        "predictions": "detections",
        "parent_id": "value",
        "object_present": "value",
        "presence_confidence": "value",
        "image": "size",
        "prediction_type": "prediction_type",
    }

    predictions: list[OutputReference] = Field(
        min_length=1, validation_alias=AliasChoices("predictions", "predictions_batches")
    )
    image_metadata: OutputReference | None = None
    required_votes: OrInput[Count]
    class_aware: OrInput[bool] = True
    iou_threshold: OrInput[Fraction] = 0.3
    confidence: OrInput[Fraction] = 0.0
    classes_to_consider: OrInput[list[str] | None] = None
    required_objects: OrInput[Count | dict[str, Count] | None] = None
    presence_confidence_aggregation: OrInput[Aggregation] = "max"
    detections_merge_confidence_aggregation: OrInput[Aggregation] = "average"
    detections_merge_coordinates_aggregation: OrInput[Aggregation] = "average"

    def references(self) -> Iterator[Reference]:
        """Add the sources, which have to be about the same pictures."""
        yield from super().references()
        for index, text in enumerate(self.predictions):
            yield Reference(
                place=f"predictions[{index}]",
                text=text,
                kinds=kinds("detections"),
                about_pictures=True,
            )
        yield from source_references(self.image_metadata, None)

    def run(self, execution: Execution) -> StepOutput:
        """Find the consensus on each picture."""
        sources = [by_key(execution.items(text)) for text in self.predictions]
        sizes = by_key(execution.items(self.image_metadata)) if self.image_metadata else {}
        items: list[Item | Failure] = []
        for first in execution.items(self.predictions[0]):
            votes = [source.get(first.key) for source in sources]
            failed = next((one for one in votes if isinstance(one, Failure)), None)
            if failed is not None:
                items.append(failed)
                continue
            said = [one.values["predictions"] for one in votes if isinstance(one, Item)]
            try:
                values = self._agree(said, execution)
            except PredictionError as exc:
                problem = str(exc)
            except (ArithmeticError, KeyError, TypeError, ValueError) as exc:
                problem = f"an entry cannot be compared ({type(exc).__name__}: {exc})"
            else:
                metadata = sizes.get(first.key, first)
                known = metadata.values if isinstance(metadata, Item) else {}
                values["image"] = known.get("image")
                values["prediction_type"] = "object-detection"
                items.append(Item(key=first.key, label=first.label, values=values))
                continue
            message = f"step {self.name!r}: {first.label}: {problem}"
            items.append(Failure(key=first.key, label=first.label, message=message))
        return StepOutput(items=tuple(items))

    def _agree(self, sources: Sequence[Any], execution: Execution) -> dict[str, Any]:
        entries = [(source, entry) for source, found in enumerate(sources) for entry in found]
        if not entries:
            return {
                "predictions": [],
                "parent_id": "undefined",
                "object_present": False,
                "presence_confidence": {},
            }
        parents = {entry["parent_id"] for _, entry in entries}
        if len(parents) > 1:
            raise PredictionError(
                f"the entries name {len(parents)} parents: only detections in one picture can agree"
            )
        wanted = self.classes_to_consider
        if wanted is not None:
            entries = [(source, entry) for source, entry in entries if entry["class"] in wanted]
        used: set[str] = set()
        merged: list[Entry] = []
        for source, entry in entries:
            if entry["detection_id"] in used:
                continue
            group = [entry, *self._overlapping(entry, source, entries, used)]
            if len(group) < self.required_votes:
                continue
            one = self._merge(group, execution)
            if one["confidence"] < self.confidence:
                continue
            merged.append(one)
            used |= {member["detection_id"] for member in group}
        present, confidence = self._presence(merged)
        return {
            "predictions": merged,
            "parent_id": parents.pop(),
            "object_present": present,
            "presence_confidence": confidence,
        }

    def _overlapping(
        self,
        entry: Entry,
        source: int,
        entries: Sequence[tuple[int, Entry]],
        used: set[str],
    ) -> list[Entry]:
        """Return of every other source the unused entry that overlaps most, if enough."""
        best: dict[int, tuple[float, Entry]] = {}
        for other_source, other in entries:
            if other_source == source or other["detection_id"] in used:
                continue
            if self.class_aware and other["class"] != entry["class"]:
                continue
            overlap = _overlap(entry, other)
            if overlap > self.iou_threshold and overlap > best.get(other_source, (0.0,))[0]:
                best[other_source] = (overlap, other)
        return [other for _, other in best.values()]

    def _merge(self, group: Sequence[Entry], execution: Execution) -> dict[str, Any]:
        mode = self.detections_merge_confidence_aggregation
        named = _class_of(group, mode)
        return {
            "parent_id": group[0]["parent_id"],
            "detection_id": execution.new_id(),
            "class": named["class"],
            "class_id": named.get("class_id"),
            "confidence": _aggregated(group, mode),
            **_box(group, self.detections_merge_coordinates_aggregation),
        }

    def _presence(self, merged: Sequence[Entry]) -> tuple[bool, dict[str, float]]:
        """Tell whether enough was found, and how sure that is by class."""
        required = self.required_objects or 0
        mode = self.presence_confidence_aggregation
        if isinstance(required, dict) and not self.class_aware:
            required = sum(required.values())
        if not merged or (isinstance(required, int) and len(merged) < required):
            return False, {}
        if not self.class_aware:
            return True, {"any_object": _aggregated(merged, mode)}
        by_class: dict[str, list[Entry]] = {}
        for entry in merged:
            by_class.setdefault(entry["class"], []).append(entry)
        if isinstance(required, dict):
            short = [n for n, count in required.items() if len(by_class.get(n, ())) < count]
            if short:
                return False, {}
        return True, {name: _aggregated(found, mode) for name, found in by_class.items()}


def _corners(entry: Entry) -> tuple[int, int, int, int]:
    left, top = (
        round(entry["x"] - entry["width"] / 2),
        round(entry["y"] - entry["height"] / 2),
    )
    return left, top, round(left + entry["width"]), round(top + entry["height"])


def _overlap(one: Entry, other: Entry) -> float:
    """Return intersection over union of whole pixels, with the areas as they are stated."""
    a, b = _corners(one), _corners(other)
    shared = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    union = float(_area(one) + _area(other) - shared)
    return shared / union if union else 0.0


def _area(entry: Entry) -> float:
    area: float = entry["height"] * entry["width"]
    return area


def _aggregated(group: Sequence[Entry], mode: Aggregation) -> float:
    return _AGGREGATE[mode]([entry["confidence"] for entry in group])


def _class_of(group: Sequence[Entry], mode: Aggregation) -> Entry:
    """Return the entry whose class the merged one gets: the majority's, or by confidence."""
    if mode == "average":
        winner = Counter(entry["class"] for entry in group).most_common(1)[0][0]
        return next(entry for entry in group if entry["class"] == winner)
    pick = max if mode == "max" else min
    return pick(group, key=lambda entry: entry["confidence"])


def _box(group: Sequence[Entry], mode: Aggregation) -> dict[str, Any]:
    keys = ("x", "y", "width", "height")
    if mode == "average":
        return {key: round(statistics.mean(entry[key] for entry in group)) for key in keys}
    chosen = max(group, key=_area) if mode == "max" else min(group, key=_area)
    return {key: chosen[key] for key in keys}
