"""The command `al workflow`, against the local API server and an Inference server by script."""

import base64
import http.server
import io
import json
import re
import threading
from importlib.metadata import EntryPoint
from pathlib import Path

import PIL.Image
import pytest
from click.testing import CliRunner

from al_framework.api import ConfigurationError
from al_framework.testing import sample_jpeg
from al_framework_roboflow.server import Project, State, Workspace, running_server
from al_framework_roboflow.workflow.command import workflow
from al_framework_roboflow.workflow.errors import WorkflowFaultsError


@pytest.fixture
def inference():
    """An Inference server that sees one cat in every picture; its URL."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, body))
            data = base64.b64decode(body["image"]["value"])
            with PIL.Image.open(io.BytesIO(data)) as picture:
                width, height = picture.size
            box = {"x": width / 2, "y": height / 2, "width": width / 2, "height": height / 2}
            entry = {**box, "confidence": 0.5, "class": "cat", "class_id": 0}
            entries = [entry] if server.entries is None else server.entries
            answer = {"image": {"width": width, "height": height}, "predictions": entries}
            if self.path.endswith("classification"):
                answer |= {
                    "predictions": [{"class": "cat", "class_id": 0, "confidence": 0.5}],
                    "top": "cat",
                    "confidence": 0.5,
                }
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.asked = asked
    server.entries = None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def roboflow(flow):
    projects = [
        Project("ds", type="object-detection", configuration=flow.CONFIGURATION),
        Project("other"),
    ]
    with running_server(State(workspaces=[Workspace("ws", projects)])) as server:
        yield server


@pytest.fixture
def pictures(tmp_path):
    paths = [tmp_path / f"{number}.jpg" for number in (1, 2)]
    for number, path in enumerate(paths):
        path.write_bytes(sample_jpeg(seed=number))
    return [str(path) for path in paths]


@pytest.fixture
def al(tmp_path, monkeypatch, roboflow, inference):
    """Run the command; `documents` are written to files first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROBOFLOW_API_KEY", "request-key")

    def al(command, document, *arguments, servers=True):
        path = tmp_path / "doc.json"
        if document is not None:
            path.write_text(json.dumps(document))
        more = []
        if command == "run" and servers:
            url = f"http://127.0.0.1:{inference.server_port}"
            more = ["--inference-url", url, "--api-url", roboflow.url]
        return CliRunner().invoke(workflow, [command, str(path), *arguments, *more])

    return al


def uploads(roboflow):
    return roboflow.requests("upload")


# ---------------------------------------------------------------- check


def test_check_shows_what_a_workflow_would_do(flow, al):
    content = flow.document(
        [flow.model(), flow.collector("$steps.m.predictions")],
        selector="$steps.m.predictions",
        inputs=[{"type": "InferenceParameter", "name": "off", "default_value": False}],
    )

    result = al("check", content)

    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].endswith("doc.json: ok")
    assert lines[1:] == [
        "input   image: InferenceImage",
        "input   off: InferenceParameter (optional)",
        "step    m: ObjectDetectionModel",
        "step    collect: ActiveLearningDataCollector into ds, by its own configuration",
        "output  p: $steps.m.predictions",
    ]


def test_check_lists_every_fault(flow, al):
    result = al("check", flow.document([flow.model(image="$inputs.x", confidence=2)]))

    assert isinstance(result.exception, WorkflowFaultsError)
    assert len(result.exception.faults) == 1


def test_faults_end_with_status_2(flow, tmp_path, monkeypatch):
    from al_framework import cli

    path = tmp_path / "doc.json"
    path.write_text("{}")
    point = EntryPoint("workflow", "al_framework_roboflow.workflow.command:workflow", "g")
    monkeypatch.setattr(cli, "_announced", lambda: {"workflow": point})
    monkeypatch.setattr("sys.argv", ["al", "workflow", "check", str(path)])

    with pytest.raises(SystemExit) as caught:
        cli.main()

    assert caught.value.code == 2


# ---------------------------------------------------------------- run


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


def test_inputs_are_json_or_text(flow, al, roboflow, pictures):
    names = ("off", "project", "threshold")
    content = flow.document(
        [
            flow.model(confidence="$inputs.threshold"),
            flow.collector(
                "$steps.m.predictions",
                disable_active_learning="$inputs.off",
                target_dataset="$inputs.project",
            ),
        ],
        inputs=[{"type": "InferenceParameter", "name": name} for name in names],
    )

    result = al(
        "run",
        content,
        *("--image", pictures[0], "--inputs", "off=false", "project=other", "threshold=0.3"),
    )

    assert result.exit_code == 0, result.output
    assert len(uploads(roboflow)) == 1
    assert "/dataset/other/upload" in json.dumps(uploads(roboflow)[0])


def test_image_inputs_are_named_where_there_are_several(flow, al, roboflow, pictures):
    content = flow.document([flow.model(image=["$inputs.image", "$inputs.other"])])
    content["specification"]["inputs"].append({"type": "InferenceImage", "name": "other"})

    one, other = pictures
    named = al("run", content, "--image", f"image={one}", f"other={other}")
    bare = al("run", content, "--image", one)

    assert named.exit_code == 0, named.output
    assert bare.exit_code == 2
    assert "write name=FILE, the workflow's image inputs are 'image', 'other'" in bare.output


WRONG = [
    ((), "the image input 'image' needs a picture: add --image FILE"),
    (("--image", "1.jpg", "--inference-url", "here"), "--inference-url: has to begin with http://"),
    (("--image", "1.jpg", "--inputs", "key"), "--inputs 'key': write name=value"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_a_wrong_call_says_what_to_write(arguments, message, flow, al):
    result = al("run", flow.document([flow.model()]), *arguments, servers=False)

    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_models_can_come_from_a_file(flow, al, roboflow, pictures, inference):
    Path("models.yaml").write_text(
        "some/1: {type: roboflow_inference, model_id: real/7, "
        f"url: 'http://127.0.0.1:{inference.server_port}'}}\n"
    )
    content = flow.document([flow.model(), flow.collector("$steps.m.predictions")])

    result = al(
        "run",
        content,
        *("--image", pictures[0], "--models", "models.yaml", "--api-url", roboflow.url),
        servers=False,
    )

    assert result.exit_code == 0, result.output
    assert len(uploads(roboflow)) == 1


def test_an_address_where_the_key_can_be_read_on_the_way_is_refused(flow, al, pictures):
    result = al(
        "run",
        flow.document([flow.model()]),
        *("--image", pictures[0], "--api-url", "http://me:hidden@gateway.test"),
        servers=False,
    )

    assert result.exit_code == 2
    assert "--api-url: begins with http://, so the key can be read on the way: use" in result.output
    assert "hidden" not in result.output


def test_without_models_the_document_cannot_run(flow, al, pictures):
    result = al("run", flow.document([flow.model()]), "--image", pictures[0], servers=False)

    assert isinstance(result.exception, WorkflowFaultsError)
    assert "no predictor answers for the model 'some/1'" in str(result.exception)


def test_faults_of_the_models_file_are_told_with_their_lines(flow, al, pictures):
    Path("models.yaml").write_text("some/1:\n  type: roboflow_inferense\n")

    result = al(
        "run", flow.document([flow.model()]), "--image", pictures[0], "--models", "models.yaml"
    )

    assert isinstance(result.exception, ConfigurationError)
    assert re.search(
        r"line 2: \['some/1'\]\.type: there is no predictor type 'roboflow_inferense' \(did you "
        "mean 'roboflow_inference'",
        str(result.exception),
    )


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


def test_a_mistyped_input_is_no_picture(flow, al, pictures):
    content = flow.document(
        [flow.model()],
        inputs=[{"type": "InferenceParameter", "name": "level", "default_value": 1}],
    )

    result = al("run", content, "--image", pictures[0], "--inputs", "level=1", "levle=2")

    assert isinstance(result.exception, WorkflowFaultsError)
    assert "inputs.levle: is no input: did you mean 'level'?" in str(result.exception)


def test_pictures_that_had_been_there_before_are_told(flow, al, roboflow, pictures):
    content = flow.document([flow.model(), flow.collector("$steps.m.predictions")])
    al("run", content, "--image", pictures[0])

    again = al("run", content, "--image", *pictures)

    assert again.exit_code == 0, again.output
    assert "ds: sink 'roboflow': 2 delivered (1 had been there before)" in again.output
    assert len(roboflow.held()["workspaces"]["ws"]["ds"]["images"]) == 2


def test_a_wrong_configuration_is_a_fault_of_the_document(flow, al, roboflow, pictures):
    configuration = flow.CONFIGURATION | {"max_image_size": [0, 1]}
    content = flow.document(
        [
            flow.model(),
            flow.collector("$steps.m.predictions", active_learning_configuration=configuration),
        ]
    )

    for result in (al("check", content), al("run", content, "--image", *pictures)):
        assert isinstance(result.exception, WorkflowFaultsError)
        assert str(result.exception).endswith(
            "doc.json: 1 fault in the workflow\n  specification.steps[1]"
            ".active_learning_configuration.max_image_size[0]: should be greater than 0, not 0"
        )
    assert uploads(roboflow) == []


def test_without_an_account_no_configuration_is_fetched(flow, al, pictures, roboflow, monkeypatch):
    monkeypatch.delenv("ROBOFLOW_API_KEY")
    content = flow.document(
        [flow.model(), flow.collector("$steps.m.predictions", active_learning_configuration=None)]
    )

    result = al("run", content, *("--image", pictures[0], "--sink-directory", "kept"))

    assert result.exit_code == 1
    assert "no api key" in result.output
    assert roboflow.requests() == []
