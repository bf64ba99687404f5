"""What requests an `e2e` case leads to by the rules: Roboflow's, or ours with deviations named.

A calculation apart from the pipeline, over rules that the other kinds of cases show one by one.
Nothing is sent, stored or decoded here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from al_framework.testing.rules import (
    Credit,
    LimitsSimulator,
    compose_tags,
    dated_name,
    has_batch_room,
)
from al_framework_roboflow.annotation import (
    encode_prediction,
    in_stored_frame,
    is_annotation_forbidden,
)
from al_framework_roboflow.conformance import downscale, strategies
from al_framework_roboflow.conformance.driving import (
    DATAPOINT,
    IMAGE,
    MODEL,
    PROJECT,
    WORKSPACE,
    Call,
    in_order,
)
from al_framework_roboflow.conformance.outcomes import (
    WELL,
    annotation_outcome,
    as_roboflow_sends,
    blind_to,
    is_duplicate,
    is_success_to_roboflow,
    upload_outcome,
)
from al_framework_roboflow.conformance.strategies import REFUSED, Refusal

RETRIED: Final = "retried-and-kept"
ANNOTATED_DUPLICATE: Final = "duplicate-annotated"
COUNTED: Final = "batch-counted-in-background"
MULTI_LABEL: Final = "multi-label-text"
STORED_FRAME: Final = "stored-frame"
ONE_PIXEL: Final = "at-least-one-pixel"

Case: TypeAlias = Mapping[str, Any]
Frame: TypeAlias = Mapping[str, Any]

_REFRESH_S, _IN_USE_S, _NOTE_EVERY_S = 60.0, 120.0, 20.0


@dataclass(slots=True)
class _Batch:
    """A labelling batch as the collector knows it."""

    others: int = 0
    own: int = 0
    looked_at: float = float("-inf")
    used_at: float = float("-inf")


@dataclass(slots=True, kw_only=True)
class Replay:
    """A run through the frames of a case.

    Attributes:
        case: The input.
        ours: Whether by our rules, or by Roboflow's.
        deviations: Which rules of ours have had a say, by frame.
    """

    case: Case
    ours: bool
    deviations: list[list[str]] = field(default_factory=list)
    _limits: LimitsSimulator = field(default_factory=LimitsSimulator)
    _batches: dict[str, _Batch] = field(default_factory=dict)

    def run(self) -> list[list[Call]]:
        """Return the requests of each frame."""
        if self.case["config"]["enabled"] is False:
            return [[] for _ in self.case["frames"]]
        step = self._by_our_rules if self.ours else self._by_roboflows
        calls = []
        for frame in self.case["frames"]:
            self.deviations.append([])
            calls.append(in_order(step(frame)))
        return calls

    def _by_our_rules(self, frame: Frame) -> list[Call]:
        return [*self._look_again(_moment(frame)), *self._collect(frame)]

    def _collect(self, frame: Frame) -> list[Call]:
        credit = self._pay(frame)
        if credit is None:
            return []
        if _is_elsewhere(frame):
            self._deviate(REFUSED)
            self._limits.give_back(credit)
            return []
        asked, name, now = self._look_first(frame)
        batch, most = self._batch(name), self._most
        fits = has_batch_room(batch.own + batch.others, most)
        if most is not None and (fits or abs(now - batch.used_at) > _NOTE_EVERY_S):
            batch.used_at = now
        if not fits:
            self._limits.give_back(credit)
            return asked
        batch.own += 1
        if _truncates(self.case, frame):
            self._deviate(ONE_PIXEL)
        return [*asked, *self._deliver(frame, credit, batch)]

    def _by_roboflows(self, frame: Frame) -> list[Call]:
        if not self._matching(frame):
            return []
        asked, room = self._look_as_roboflow(self._batch_name(frame))
        if not room or isinstance(self._size(frame), Refusal) or _truncates(self.case, frame):
            return asked
        credit = self._pay(frame)
        if credit is None:
            return asked
        reply = frame.get("upload") or WELL
        if not is_success_to_roboflow(reply):
            self._limits.give_back(credit)
            return [*asked, self._upload(frame, credit)]
        return [*asked, self._upload(frame, credit), *self._annotate_as_roboflow(frame)]

    def _annotate_as_roboflow(self, frame: Frame) -> list[Call]:
        factor = self._size(frame)["h"] / frame["h"]
        document = as_roboflow_sends(frame["prediction"], factor, self._kind)
        is_text = "classification" in self._kind
        if self._is_bare(frame) or (is_text and "top" not in document):
            return []
        if is_text:
            return [self._annotate(document["top"], "txt")]
        return [self._annotate(json.dumps(document), "json")]

    def _deliver(self, frame: Frame, credit: Credit, batch: _Batch) -> list[Call]:
        """Return the attempts at one picture, until it and its annotation are there."""
        body = None if self._is_bare(frame) else self._annotation(frame)
        upload = self._upload(frame, credit)
        reply = frame.get("upload") or WELL
        outcome, calls = upload_outcome(reply), [upload]
        duplicate = outcome != "again" and is_duplicate(reply)
        if duplicate or outcome == "refused":  # nothing of ours is stored
            self._limits.give_back(credit)
            batch.own -= 1
        if outcome == "refused":
            return calls
        if outcome == "again" or (outcome == "nameless" and not duplicate):
            self._deviate(RETRIED)  # without an id too the picture is there, and so is its credit
            if outcome == "again" or body is not None:
                calls.append(upload)
        if body is None or (outcome == "nameless" and duplicate):
            return calls
        if duplicate:
            self._deviate(ANNOTATED_DUPLICATE)
        calls.append(self._annotate(*body))
        if annotation_outcome(frame.get("annotate") or WELL) == "again":
            self._deviate(RETRIED)
            calls.append(calls[-1])
        return calls

    def _annotation(self, frame: Frame) -> tuple[str, str]:
        size, document = self._size(frame), frame["prediction"]
        if "classification" in self._kind:
            if "top" not in document:
                self._deviate(MULTI_LABEL)
            return encode_prediction(document, self._kind)
        stored = (int(size["w"]), int(size["h"]))
        if stored != (frame["w"], frame["h"]):
            self._deviate(STORED_FRAME)
        source = (frame["w"], frame["h"])
        moved = in_stored_frame(document, source_size=source, image_size=stored)
        return encode_prediction(moved, self._kind)

    def _pay(self, frame: Frame) -> Credit | None:
        limits = {one["name"]: one.get("limits", ()) for one in self._strategies}
        matching = {
            name: [(limit["type"], limit["value"]) for limit in limits[name]]
            for name in self._matching(frame)
        }
        return self._limits.take(matching, at=_moment(frame)) if matching else None

    def _matching(self, frame: Frame) -> Sequence[str]:
        given = {
            "strategies": self._strategies,
            "prediction": frame["prediction"],
            "prediction_type": self._kind,
        }
        name = strategies.deviation(given)
        if name is not None:
            self._deviate(name)
        names = strategies.answer(given)
        if not isinstance(names, Refusal):
            return names
        self._deviate(REFUSED)
        return [] if self.ours else blind_to(self._strategies, self._kind)

    def _look_first(self, frame: Frame) -> tuple[list[Call], str, float]:
        """Ask for the size of a batch that nobody has asked for of late."""
        name, now = self._batch_name(frame), _moment(frame)
        if self._most is None:
            return [], name, now
        self._deviate(COUNTED)
        batch = self._batch(name)
        if abs(now - batch.looked_at) < _IN_USE_S:
            return [], name, now
        return self._look(name, now), name, now

    def _look_again(self, now: float) -> list[Call]:
        """Ask for the sizes of the batches in use, once a minute."""
        due = [
            name
            for name, batch in self._batches.items()
            if abs(now - batch.used_at) < _IN_USE_S and abs(now - batch.looked_at) >= _REFRESH_S
        ]
        return [call for name in due for call in self._look(name, now)]

    def _look(self, name: str, now: float) -> list[Call]:
        batch = self._batch(name)
        asked, images = self._counted(name, exact=True)
        batch.others = batch.others if images is None else images
        batch.looked_at = now
        return asked

    def _look_as_roboflow(self, name: str) -> tuple[list[Call], bool]:
        if self._most is None:
            return [], True
        asked, images = self._counted(name, exact=False)
        return asked, images is not None and has_batch_room(images, self._most)

    def _counted(self, name: str, *, exact: bool) -> tuple[list[Call], int | None]:
        """Return the questions about a batch, and how many pictures it held from the start."""
        server = self.case["server"]
        path = f"/{self.case['config'].get('target_workspace') or WORKSPACE}/{self._project}"
        asked: list[Call] = [["GET", f"{path}/batches"]]
        if "batches_reply" in server:
            return asked, None
        found = next((one for one in server.get("batches", ()) if one["name"] == name), None)
        if found is None:
            return asked, 0
        if not found["numJobs"]:
            return asked, int(found["images"])
        asked.append(["GET", f"{path}/jobs"])
        jobs = [one for one in server["jobs"] if _is_of(one["sourceBatch"], found["id"], exact)]
        return asked, int(found["images"]) + sum(one["numImages"] for one in jobs)

    def _upload(self, frame: Frame, credit: Credit) -> Call:
        config, size = self.case["config"], self._size(frame)
        chosen = next(one for one in self._strategies if one["name"] == credit.strategy)
        tags = compose_tags(
            environment=(),
            configuration=config.get("tags", ()),
            strategy=chosen.get("tags", ()),
            model_id=MODEL,
            persist_predictions=config["persist_predictions"],
        )
        query = [["batch", self._batch_name(frame)]]
        if frame.get("inference_id") is not None:
            query.append(["inference_id", frame["inference_id"]])
        query += [["tag", tag] for tag in tags]
        return ["UPLOAD", f"/dataset/{self._project}/upload", query, [size["h"], size["w"]]]

    def _annotate(self, body: str, extension: str) -> Call:
        query = [["name", f"{DATAPOINT}.{extension}"], ["prediction", "true"]]
        return ["ANNOTATE", f"/dataset/{self._project}/annotate/{IMAGE}", query, body]

    def _is_bare(self, frame: Frame) -> bool:
        persist = self.case["config"]["persist_predictions"]
        return is_annotation_forbidden(frame["prediction"], persist, IMAGE)

    def _size(self, frame: Frame) -> Any:
        return downscale.answer(_sizes(self.case, frame))

    def _batch_name(self, frame: Frame) -> str:
        batching = self.case["config"]["batching_strategy"]
        day = datetime.fromisoformat(frame["t"]).date()
        return dated_name(batching["batches_name_prefix"], batching["recreation_interval"], day)

    def _batch(self, name: str) -> _Batch:
        return self._batches.setdefault(name, _Batch())

    def _deviate(self, name: str) -> None:
        if name not in self.deviations[-1]:
            self.deviations[-1].append(name)

    @property
    def _kind(self) -> str:
        return str(self.case["prediction_type"])

    @property
    def _strategies(self) -> Sequence[Mapping[str, Any]]:
        return list(self.case["config"]["sampling_strategies"])

    @property
    def _most(self) -> int | None:
        most: int | None = self.case["config"]["batching_strategy"].get("max_batch_images")
        return most

    @property
    def _project(self) -> str:
        return self.case["config"].get("target_project") or PROJECT


def first_difference(case: Case) -> str | None:
    """Return the rule of ours that first makes a difference to Roboflow, or None.

    It is one that has had a say on the first frame whose requests differ; where none has, the
    frames before have left the limits or the batches in another state.
    """
    ours, theirs = Replay(case=case, ours=True), Replay(case=case, ours=False)
    pairs = enumerate(zip(ours.run(), theirs.run(), strict=True))
    for n, (mine, other) in pairs:
        if mine != other:
            said = [name for names in reversed(ours.deviations[: n + 1]) for name in names]
            asked = [[call for call in calls if call[0] == "GET"] for calls in (mine, other)]
            if asked[0] != asked[1] and mine[len(asked[0]) :] == other[len(asked[1]) :]:
                return COUNTED
            return next((name for name in said if name != COUNTED), COUNTED)
    return None


def _is_elsewhere(frame: Frame) -> bool:
    """Tell whether a box lies wholly outside of its picture, which is refused."""
    entries = frame["prediction"].get("predictions")
    boxes = [one for one in entries if "x" in one] if isinstance(entries, list) else []
    return any(
        abs(2 * box[middle] - frame[size]) > box[side] + frame[size]
        for box in boxes
        for middle, side, size in (("x", "width", "w"), ("y", "height", "h"))
    )


def _is_of(source: str | Sequence[str], batch_id: str, exact: bool) -> bool:
    if not isinstance(source, str) or not exact:
        return batch_id in source
    return batch_id in {source, source.rpartition("/")[2]}


def _sizes(case: Case, frame: Frame) -> dict[str, Any]:
    limit = case["config"].get("max_image_size")
    return {"h": frame["h"], "w": frame["w"], "max_image_size": limit}


def _truncates(case: Case, frame: Frame) -> bool:
    return downscale.deviation(_sizes(case, frame)) == ONE_PIXEL


def _moment(frame: Frame) -> float:
    return datetime.fromisoformat(frame["t"]).replace(tzinfo=UTC).timestamp()
