"""What `al workflow run` collects, against local servers in place of Roboflow and Inference."""

import base64
import io
import json
from pathlib import Path

import PIL.Image


def uploads(roboflow):
    return roboflow.requests("upload")


def test_a_document_collects_into_roboflow(flow, al, roboflow, inference, pictures):
    content = flow.document(
        [flow.model(), flow.collector("$steps.m.predictions")], selector="$steps.m.predictions"
    )

    result = al("run", content, "--image", *pictures)

    assert result.exit_code == 0, result.output
    assert result.output.count("chosen") == 2
    assert "ds: sink 'roboflow': 2 delivered\n" in result.output
    assert len(uploads(roboflow)) == 2
    path, body = inference.asked[0]
    assert path == "/infer/object_detection"
    assert body["model_id"] == "some/1"
    assert body["disable_active_learning"] is True
    held = json.dumps(roboflow.held())
    assert "ds-workflows" in held


def test_a_configuration_of_the_project_is_waited_for(flow, al, roboflow, pictures):
    content = flow.document(
        [flow.model(), flow.collector("$steps.m.predictions", active_learning_configuration=None)]
    )

    result = al("run", content, "--image", pictures[0])

    assert result.exit_code == 0, result.output
    assert len(uploads(roboflow)) == 1


def test_classified_crops_decide_by_their_confidence(flow, al, roboflow, pictures):
    strategy = {
        "name": "unsure",
        "type": "close_to_threshold",
        "threshold": 0.5,
        "epsilon": 0.1,
        "probability": 1.0,
    }
    configuration = flow.CONFIGURATION | {"sampling_strategies": [strategy]}
    crop = {
        "type": "Crop",
        "name": "crop",
        "image": "$inputs.image",
        "predictions": "$steps.m.predictions",
    }
    second = flow.model("ClassificationModel", name="c", image="$steps.crop.crops")
    collector = flow.collector(
        "$steps.c.top", image="$steps.crop.crops", active_learning_configuration=configuration
    )
    content = flow.document([flow.model(), crop, second, collector], selector="$steps.crop.crops")

    result = al("run", content, "--image", pictures[0], "--json")

    assert result.exit_code == 0, result.output
    assert len(uploads(roboflow)) == 1
    printed = json.loads(result.output)
    (collected,) = printed["collected"]["collect"]
    assert collected["picture"].endswith("1.jpg > crop[0]")
    (shown,) = printed["outputs"]["p"]
    assert shown["type"] == "base64"
    with PIL.Image.open(io.BytesIO(base64.b64decode(shown["value"]))) as picture:
        assert picture.size == (32, 24)
    ((_, sinks),) = printed["delivery"].items()
    assert sinks == {"roboflow": {"delivered": 1, "pending": 0, "dead": 0}}


def test_pictures_can_be_collected_without_an_account(flow, al, pictures, monkeypatch, roboflow):
    monkeypatch.delenv("ROBOFLOW_API_KEY")
    content = flow.document([flow.model(), flow.collector("$steps.m.predictions")])

    result = al("run", content, "--image", pictures[0], "--sink-directory", "kept")

    assert result.exit_code == 0, result.output
    assert len(list(Path("kept/images").rglob("*.jpg"))) == 1
    assert uploads(roboflow) == []


def test_several_datasets_get_a_directory_each(flow, al, pictures):
    content = flow.document(
        [
            flow.model(),
            flow.collector("$steps.m.predictions"),
            flow.collector("$steps.m.predictions", name="second", target_dataset="other"),
        ]
    )

    result = al("run", content, "--image", pictures[0], "--sink-directory", "kept")

    assert result.exit_code == 0, result.output
    found = {path.name.partition("-")[0]: path for path in Path("kept").iterdir()}
    assert set(found) == {"ds", "other"}
    assert all(len(list(path.rglob("*.jpg"))) == 1 for path in found.values())


def test_the_same_picture_goes_to_a_dataset_once(flow, al, roboflow, pictures):
    content = flow.document(
        [
            flow.model(),
            flow.collector("$steps.m.predictions"),
            flow.collector("$steps.m.predictions", name="second"),
        ]
    )

    result = al("run", content, "--image", pictures[0])

    assert result.exit_code == 0, result.output
    assert "1 dropped: recently sent" in result.output
    assert len(uploads(roboflow)) == 1


def test_without_a_key_the_collector_says_so(flow, al, pictures, monkeypatch):
    monkeypatch.delenv("ROBOFLOW_API_KEY")
    content = flow.document([flow.model(), flow.collector("$steps.m.predictions")])

    result = al("run", content, "--image", pictures[0])

    assert result.exit_code == 1
    assert "no api key" in result.output


def test_one_bad_picture_is_told_and_the_rest_is_done(flow, al, roboflow, pictures):
    content = flow.document([flow.model(), flow.collector("$steps.m.predictions")])

    result = al("run", content, "--image", pictures[0], "--image", "none.jpg")

    assert result.exit_code == 1
    assert "none.jpg" in result.output
    assert len(uploads(roboflow)) == 1


def test_problems_of_other_steps_are_listed_apart(flow, al, inference):
    result = al("run", flow.document([flow.model()]), "--image", "none.jpg")

    assert result.exit_code == 1
    assert "no collector was reached" in result.output
    assert "failed\n  - the image 'none.jpg' cannot be read: No such file" in result.output
    assert inference.asked == []


def test_what_cannot_be_delivered_is_told(flow, al, roboflow, pictures):
    roboflow.fail(endpoint="upload", status=503, times=1000)
    content = flow.document([flow.model(), flow.collector("$steps.m.predictions")])

    result = al("run", content, "--image", pictures[0], "--wait", "0.3", "--json")

    assert result.exit_code == 1
    assert "ds: sink 'roboflow': 0 delivered, 1 still to be delivered (sink " in result.stderr
    assert "503" in result.stderr
    assert "safe in the spool of this key and dataset: run again with them" in result.stderr
    roboflow.clear_failures()


def test_nothing_to_collect_is_no_failure(flow, al, pictures, inference):
    content = flow.document([flow.model(), flow.collector("$steps.m.predictions")])
    first, last = content["specification"]["steps"]
    first["confidence"] = 0.9  # no server would answer with less
    crop = {
        "type": "Crop",
        "name": "crop",
        "image": "$inputs.image",
        "predictions": "$steps.m.predictions",
    }
    second = flow.model(name="c", image="$steps.crop.crops", confidence=0.9)
    last |= {"image": "$steps.crop.crops", "predictions": "$steps.c.predictions"}
    content["specification"]["steps"] = [first, crop, second, last]
    inference.entries = []

    result = al("run", content, "--image", pictures[0])

    assert result.exit_code == 0, result.output
    assert result.output == "there was nothing to collect\n"


def test_the_key_reaches_the_inference_server_as_it_is(flow, al, pictures, inference):
    result = al("run", flow.document([flow.model()]), "--image", pictures[0])

    assert result.exit_code == 0, result.output
    assert inference.asked[0][1]["api_key"] == "request-key"


def test_the_key_may_stand_in_another_variable(flow, al, pictures, inference, monkeypatch):
    monkeypatch.setenv("KEY_OF_LINE_3", "another-key")

    al(
        "run",
        flow.document([flow.model()]),
        *("--image", pictures[0], "--api-key-env", "KEY_OF_LINE_3"),
    )

    assert inference.asked[0][1]["api_key"] == "another-key"


def test_without_an_account_no_key_is_sent(flow, al, pictures, inference, monkeypatch):
    monkeypatch.delenv("ROBOFLOW_API_KEY")

    al("run", flow.document([flow.model()]), *("--image", pictures[0], "--sink-directory", "kept"))

    assert "api_key" not in inference.asked[0][1]


def test_pictures_that_had_been_there_before_are_told(flow, al, roboflow, pictures):
    content = flow.document([flow.model(), flow.collector("$steps.m.predictions")])
    al("run", content, "--image", pictures[0])

    again = al("run", content, "--image", *pictures)

    assert again.exit_code == 0, again.output
    assert "ds: sink 'roboflow': 2 delivered (1 had been there before)" in again.output
    assert len(roboflow.held()["workspaces"]["ws"]["ds"]["images"]) == 2
