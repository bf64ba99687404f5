"""How a consensus merges what several models saw, and when it refuses."""

import copy

import pytest

from al_framework_roboflow.workflow import WorkflowFaultsError


def seen(entries):
    return lambda w, h: {"predictions": copy.deepcopy(entries)}


def rows(columns):
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def box(x, y, width, height, *, name="cat", confidence=0.5, detection_id):
    return {
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "confidence": confidence,
        "class": name,
        "class_id": len(name),
        "detection_id": detection_id,
    }


ONE = [
    box(50, 50, 20, 20, confidence=0.6, detection_id="a1"),
    box(150, 50, 20, 20, detection_id="a2"),
]
OTHER = [
    box(53, 51, 22, 20, confidence=0.9, detection_id="b1"),
    box(52, 50, 20, 20, name="puma", confidence=0.3, detection_id="b2"),
]
THIRD = [box(51, 49, 18, 22, confidence=0.2, detection_id="c1")]


@pytest.fixture
def agree(flow, run):
    """Return what a consensus step says of the one picture."""

    def agree(*sources, inputs=None, declared=(), **options):
        names = "abc"[: len(sources)]
        step = {
            "type": "DetectionsConsensus",
            "name": "s",
            "predictions": [f"$steps.{name}.predictions" for name in names],
            "required_votes": 2,
            **options,
        }
        models = [flow.model(name=name, model_id=f"{name}/1") for name in names]
        content = flow.document(
            [*models, step],
            generation=2,
            inputs=[{"type": "InferenceParameter", "name": name} for name in declared],
        )
        predictors = {
            f"{name}/1": flow.Detector(seen(entries))
            for name, entries in zip(names, sources, strict=True)
        }
        result = run(content, predictors=predictors, inputs=inputs or {})
        return rows(result.steps["s"])[0] if result.steps["s"] else result.problems

    return agree


def test_a_consensus_merges_what_overlaps(agree):
    said = agree(ONE, OTHER)

    (merged,) = said["predictions"]
    assert merged.pop("detection_id") not in ("a1", "b1")
    # 51.5 and 50.5 are rounded half to even.
    assert merged == {
        "parent_id": "image",
        "class": "cat",
        "class_id": 3,
        "confidence": 0.75,
        "x": 52,
        "y": 50,
        "width": 21,
        "height": 20,
    }
    assert said["object_present"] is True
    assert said["presence_confidence"] == {"cat": 0.75}
    assert said["prediction_type"] == "object-detection"
    assert said["image"] == {"width": 200, "height": 100}


def test_a_consensus_blind_to_classes_takes_the_best_overlap(agree):
    said = agree(ONE, OTHER, class_aware=False)

    (merged,) = said["predictions"]
    assert (merged["x"], merged["confidence"]) == (51, pytest.approx(0.45))
    assert said["presence_confidence"] == {"any_object": pytest.approx(0.45)}


MERGED = [
    ("average", "average", ("cat", 0.75, 52)),
    ("max", "max", ("cat", 0.9, 53)),
    ("min", "min", ("cat", 0.6, 50)),
]


@pytest.mark.parametrize(("confidence", "coordinates", "expected"), MERGED)
def test_a_consensus_aggregates_as_it_is_told(confidence, coordinates, expected, agree):
    said = agree(
        ONE,
        OTHER,
        detections_merge_confidence_aggregation=confidence,
        detections_merge_coordinates_aggregation=coordinates,
    )

    (merged,) = said["predictions"]
    assert (merged["class"], merged["confidence"], merged["x"]) == expected


def test_the_majority_names_a_merged_box(agree):
    said = agree(THIRD, OTHER[1:], ONE[:1], class_aware=False, required_votes=3)

    assert [entry["class"] for entry in said["predictions"]] == ["cat"]


def test_one_vote_keeps_everything(agree):
    assert len(agree(ONE, OTHER, required_votes=1)["predictions"]) == 3


def test_an_overlap_has_to_exceed_the_threshold(agree):
    # 17x19 pixels are common to 20x20 and 22x20.
    overlap = (18 * 19) / (400 + 440 - 18 * 19)

    assert agree(ONE[:1], OTHER[:1], iou_threshold=overlap)["predictions"] == []
    assert len(agree(ONE[:1], OTHER[:1], iou_threshold=overlap - 1e-9)["predictions"]) == 1


LEFT_OUT = [
    {"confidence": 0.76},
    {"classes_to_consider": ["dog"]},
    {"required_votes": 3},
]


@pytest.mark.parametrize("options", LEFT_OUT)
def test_a_consensus_leaves_out_what_is_too_little(options, agree):
    said = agree(ONE, OTHER, **options)

    assert said["predictions"] == []
    assert (said["object_present"], said["presence_confidence"]) == (False, {})
    assert said["parent_id"] == "image"


PRESENCE = [
    ({"required_objects": 1}, True),
    ({"required_objects": 2}, False),
    ({"required_objects": {"cat": 1}}, True),
    ({"required_objects": {"cat": 2}}, False),
    ({"required_objects": {"cat": 1, "dog": 1}}, False),
    ({"required_objects": {"cat": 1, "dog": 1}, "class_aware": False}, False),
    ({"required_objects": {"cat": 1}, "class_aware": False}, True),
]


@pytest.mark.parametrize(("options", "present"), PRESENCE)
def test_a_consensus_tells_whether_enough_is_there(options, present, agree):
    assert agree(ONE, OTHER, **options)["object_present"] is present


def test_the_confidence_of_presence_is_aggregated_by_class(agree):
    twice = [*ONE, *OTHER]
    moved = [entry | {"detection_id": f"x{i}"} for i, entry in enumerate(twice)]

    most = agree(twice, moved, iou_threshold=0.9)["presence_confidence"]
    least = agree(twice, moved, iou_threshold=0.9, presence_confidence_aggregation="min")

    assert most == {"cat": 0.9, "puma": 0.3}
    assert least["presence_confidence"] == {"cat": 0.5, "puma": 0.3}


def test_nothing_seen_by_anybody_has_no_parent(agree):
    assert agree([], []) == {
        "predictions": [],
        "parent_id": "undefined",
        "object_present": False,
        "presence_confidence": {},
        "image": {"width": 200, "height": 100},
        "prediction_type": "object-detection",
    }


def test_boxes_without_area_overlap_nothing(agree):
    flat = [box(50, 50, 0, 0, detection_id="f1")]

    assert agree(flat, [flat[0] | {"detection_id": "f2"}])["predictions"] == []


def test_a_consensus_takes_its_votes_from_an_input(agree):
    said = agree(ONE, OTHER, required_votes="$inputs.v", declared=["v"], inputs={"v": 1})

    assert len(said["predictions"]) == 3


def test_a_consensus_refuses_an_input_that_does_not_fit(agree):
    expected = r"steps\[2\].required_votes: \$inputs.v: should be greater than or equal to 1"
    with pytest.raises(WorkflowFaultsError, match=expected):
        agree(ONE, OTHER, required_votes="$inputs.v", declared=["v"], inputs={"v": 0})


def test_entries_that_cannot_be_compared_are_one_failure(agree):
    (problem,) = agree([{"class": "cat", "confidence": 1}], ONE)

    assert "step 's': $inputs.image: an entry cannot be compared (KeyError: 'x')" in problem


def test_boxes_that_are_nowhere_are_one_failure(agree):
    (nan,) = agree([box(float("nan"), 5, 5, 5, detection_id="n")], ONE)
    (endless,) = agree([box(float("inf"), 5, 5, 5, detection_id="n")], ONE)

    assert "an entry cannot be compared (ValueError: " in nan
    assert "an entry cannot be compared (OverflowError: " in endless


def test_only_detections_in_one_picture_can_agree(flow, run):
    offset = {"type": "DetectionOffset", "offset_x": 1, "offset_y": 1}
    content = flow.document(
        [
            flow.model(),
            {"name": "o", "predictions": "$steps.m.predictions", **offset},
            {
                "type": "DetectionsConsensus",
                "name": "s",
                "predictions": ["$steps.m.predictions", "$steps.o.predictions"],
                "required_votes": 2,
            },
        ]
    )

    (problem,) = run(content).problems

    assert "the entries name 3 parents: only detections in one picture can agree" in problem
