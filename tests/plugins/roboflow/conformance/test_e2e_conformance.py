"""Whole collections against the replay of their cases, and against Roboflow's recordings."""

import json
from pathlib import Path

import pytest

from al_framework_roboflow.conformance import e2e, verdicts
from al_framework_roboflow.conformance.kinds import KINDS
from al_framework_roboflow.conformance.outcomes import annotation_outcome, upload_outcome
from al_framework_roboflow.conformance.reading import Vector
from al_framework_roboflow.conformance.replaying import Replay
from al_framework_roboflow.conformance.strategies import Refusal

VECTORS = Path(__file__).resolve().parents[4].parent / "shared" / "vectors" / "e2e.jsonl"
BOX = {"x": 80.0, "y": 60.0, "width": 10.0, "height": 8.0, "confidence": 0.9, "class": "cat"}
OUTSIDE = {**BOX, "x": 900.0}


def frame(second=0, box=BOX, **changes):
    size = {"h": changes.get("h", 120), "w": changes.get("w", 160)}
    image = {"width": size["w"], "height": size["h"]}
    prediction = {"predictions": [] if box is None else [box], "image": image}
    moment = f"2024-03-05T13:{second // 60:02}:{second % 60:02}"
    return {"t": moment, **size, "prediction": prediction, **changes}


def case(*frames, kind="object-detection", limits=(), most=None, server=None, **config):
    strategy = {"name": "all", "type": "random", "traffic_percentage": 1.0, "limits": list(limits)}
    batching = {"batches_name_prefix": "al", "recreation_interval": "daily"}
    if most is not None:
        batching["max_batch_images"] = most
    document = {
        "enabled": True,
        "persist_predictions": True,
        "sampling_strategies": [strategy],
        "batching_strategy": batching,
        **config,
    }
    return {
        "config": document,
        "prediction_type": kind,
        "server": server or {},
        "frames": list(frames),
    }


def words(calls):
    return [[call[0] for call in of_frame] for of_frame in calls]


ONCE = [{"type": "minutely", "value": 1}]
LABELS = {"predictions": {"cat": {"confidence": 0.9}}, "predicted_classes": ["cat", "dog"]}
FULL = {"batches": [{"name": "al_2024_03_05", "numJobs": 0, "images": 3, "id": "B1"}], "jobs": []}
GET, UP, NOTE = "GET", "UPLOAD", "ANNOTATE"


@pytest.mark.parametrize(
    ("given", "ours", "roboflows", "name"),
    [
        (case(frame()), [[UP, NOTE]], [[UP, NOTE]], None),
        (case(frame(box=None)), [[UP]], [[UP]], None),
        (case(frame(), enabled=False), [[]], [[]], None),
        (case(frame(), persist_predictions=False), [[UP]], [[UP]], None),
        (case(frame(), frame(1), limits=ONCE), [[UP, NOTE], []], [[UP, NOTE], []], None),
        (case(frame(upload={"status": 413, "json": {}})), [[UP]], [[UP]], None),
        (case(frame(annotate={"status": 409, "json": {}})), [[UP, NOTE]], [[UP, NOTE]], None),
        (case(frame(), max_image_size=[60, 80]), [[UP, NOTE]], [[UP, NOTE]], "stored-frame"),
        (
            case(frame(prediction=LABELS), kind="classification"),
            [[UP, NOTE]],
            [[UP]],
            "multi-label-text",
        ),
        (
            case(frame(box=None, h=1, w=4000), max_image_size=[100, 100]),
            [[UP]],
            [[]],
            "at-least-one-pixel",
        ),
        (
            case(frame(upload={"json": {"duplicate": True, "id": "d"}})),
            [[UP, NOTE]],
            [[UP]],
            "duplicate-annotated",
        ),
        (case(frame(upload={"json": {"duplicate": True}})), [[UP]], [[UP]], None),
        (
            case(frame(upload={"json": {"duplicate": True}}), frame(1), limits=ONCE),
            [[UP], [UP, NOTE]],
            [[UP], [UP, NOTE]],
            None,
        ),
        (
            case(frame(upload={"status": 429, "json": {}}), frame(1), limits=ONCE),
            [[UP, UP, NOTE], []],
            [[UP], [UP, NOTE]],
            "retried-and-kept",
        ),
        (
            case(frame(upload={"status": 401, "json": {}})),
            [[UP, UP, NOTE]],
            [[UP]],
            "retried-and-kept",
        ),
        (
            case(frame(upload={"text": "<html>"})),
            [[UP, UP, NOTE]],
            [[UP]],
            "retried-and-kept",
        ),
        (
            case(frame(upload={"json": {"success": True}})),
            [[UP, UP, NOTE]],
            [[UP]],
            "retried-and-kept",
        ),
        (
            case(frame(upload={"json": {"success": True, "id": 5}})),
            [[UP, NOTE]],
            [[UP, NOTE]],
            None,
        ),
        (
            case(frame(upload={"json": {"success": True, "id": ""}})),
            [[UP, UP, NOTE]],
            [[UP, NOTE]],
            "retried-and-kept",
        ),
        (
            case(frame(upload={"json": {"success": True, "id": "x"}}), frame(70), most=1),
            [[GET, UP, NOTE], [GET]],
            [[GET, UP, NOTE], [GET, UP, NOTE]],
            "batch-counted-in-background",
        ),
        (
            case(frame(prediction={}), kind="classification"),
            [[]],
            [[UP]],
            "refused-by-validation",
        ),
        (
            case(frame(box=None, upload={"json": {"success": True}}), frame(1), limits=ONCE),
            [[UP], []],
            [[UP], [UP, NOTE]],
            "retried-and-kept",
        ),
        (
            case(frame(annotate={"raise": "ConnectionError"})),
            [[UP, NOTE, NOTE]],
            [[UP, NOTE]],
            "retried-and-kept",
        ),
        (
            case(frame(box=OUTSIDE), frame(1), limits=ONCE),
            [[], [UP, NOTE]],
            [[UP, NOTE], []],
            "refused-by-validation",
        ),
        (
            case(frame(), frame(1), most=1),
            [[GET, UP, NOTE], []],
            [[GET, UP, NOTE], [GET, UP, NOTE]],
            "batch-counted-in-background",
        ),
        (
            case(frame(), frame(70), most=9),
            [[GET, UP, NOTE], [GET, UP, NOTE]],
            [[GET, UP, NOTE], [GET, UP, NOTE]],
            None,
        ),
        (case(frame(), most=3, server=FULL), [[GET]], [[GET]], None),
        (
            case(frame(), most=3, server={**FULL, "batches_reply": {"json": {"x": 1}}}),
            [[GET, UP, NOTE]],
            [[GET]],
            "batch-counted-in-background",
        ),
    ],
)
def test_requests_are_roboflows_or_those_of_a_deviation(given, ours, roboflows, name):
    answer = e2e.answer(given)

    assert ours == words(answer)
    assert answer == Replay(case=given, ours=True).run()
    assert roboflows == words(Replay(case=given, ours=False).run())
    assert name == e2e.deviation(given)
    assert name is None or e2e.follows(name, given, answer)


def test_what_roboflow_would_have_recorded_gets_the_verdict_of_its_deviation():
    given = case(frame(), max_image_size=[60, 80])
    recorded = [{"calls": calls} for calls in Replay(case=given, ours=False).run()]
    vector = Vector(id="x", line=1, input=given, expected=recorded)

    assert verdicts.judge(KINDS["e2e"], vector).name == "stored-frame"
    assert not e2e.explains("stored-frame", given, [{"calls": []}])
    assert e2e.explains("refused-by-validation", case(frame(), tags=["a b"]), [])


def test_requests_that_no_rule_demands_are_a_failure():
    given = case(frame(), max_image_size=[60, 80])

    assert not e2e.follows("stored-frame", given, [[]])
    assert not e2e.follows("refused-by-validation", given, [[]])


def test_a_document_that_does_not_pass_our_validation_is_refused_with_its_place():
    given = case(frame(), tags=["a b"])
    answer = e2e.answer(given)

    assert isinstance(answer, Refusal)
    assert answer.place == "active_learning.tags[0]"
    assert e2e.deviation(given) == "refused-by-validation"
    assert e2e.follows("refused-by-validation", given, answer)


def test_the_target_of_the_document_is_where_requests_go():
    given = case(frame(), most=5, target_workspace="ws2", target_project="other")

    [calls] = e2e.answer(given)
    assert [call[1] for call in calls] == [
        "/ws2/other/batches",
        "/dataset/other/upload",
        "/dataset/other/annotate/<image>",
    ]
    assert [calls] == Replay(case=given, ours=True).run()


def test_jobs_are_counted_and_asked_for_where_a_batch_has_some():
    held = {
        "batches": [{"name": "al_2024_03_05", "numJobs": 1, "images": 1, "id": "B1"}],
        "jobs": [
            {"sourceBatch": "ws/B1", "numImages": 1},
            {"sourceBatch": "ws/B12", "numImages": 7},
        ],
    }
    given = case(frame(), most=3, server=held)

    assert words(e2e.answer(given)) == [[GET, GET, UP, NOTE]]
    assert words(Replay(case=given, ours=False).run()) == [[GET, GET]]
    assert e2e.deviation(given) == "batch-counted-in-background"


@pytest.mark.parametrize(
    ("reply", "upload", "annotation"),
    [
        ({"status": 302}, "again", "again"),
        ({"status": 400}, "refused", "refused"),
        ({"status": 409, "json": {"id": "a"}}, "stored", "stored"),
        ({"status": 409, "json": []}, "nameless", "stored"),
        ({"status": 501}, "refused", "refused"),
        ({"raise": "Timeout"}, "again", "again"),
        ({"json": {"success": True, "id": "a", "error": "x"}}, "stored", "again"),
    ],
)
def test_an_answer_means_what_the_sink_makes_of_it(reply, upload, annotation):
    assert (upload, annotation) == (upload_outcome(reply), annotation_outcome(reply))


@pytest.mark.skipif(not VECTORS.exists(), reason="the golden vectors are not in this checkout")
def test_the_rules_without_deviations_are_exactly_what_roboflow_did():
    different = []
    for line in VECTORS.read_text(encoding="utf-8").splitlines():
        vector = json.loads(line)
        replayed = Replay(case=vector["input"], ours=False).run()
        if replayed != e2e.comparable(vector["expected"]):
            different.append(vector["id"])

    assert [] == different
