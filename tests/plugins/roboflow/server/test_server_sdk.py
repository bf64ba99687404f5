"""The official `roboflow` SDK, installed on demand, against the server in its own process."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from al_framework_roboflow.server import Remote, spawned_server

SDK = "roboflow==1.7.3"
CHILD = Path(__file__).with_name("sdk_child.py")
ANNOTATION = '{"predictions": []}'

pytestmark = pytest.mark.sdk


@pytest.fixture(scope="module")
def sdk_python(tmp_path_factory) -> Path:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        pytest.skip("uv is not installed: it makes the SDK's environment")
    environment = tmp_path_factory.mktemp("sdk") / "venv"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, environment], check=True)
    python = environment / "bin" / "python"
    installed = subprocess.run(
        [uv, "pip", "install", "-q", "--python", python, SDK],
        check=False,
        capture_output=True,
        text=True,
    )
    if installed.returncode:
        pytest.skip(f"{SDK} cannot be installed here: {installed.stderr.strip()[-300:]}")
    return python


@pytest.fixture(scope="module")
def driven(sdk_python, tmp_path_factory):
    """What the SDK saw, and what the server holds after it."""
    from PIL import Image

    directory = tmp_path_factory.mktemp("driven")
    Image.new("RGB", (16, 12), (200, 100, 0)).save(directory / "picture.jpg")
    Image.new("RGB", (16, 12), (0, 100, 200)).save(directory / "other.png")
    (directory / "annotation.json").write_text(ANNOTATION, encoding="utf-8")
    options = ["--project", "ds", "--project", "cls:classification", "--api-key", "good-key"]
    with spawned_server(options) as server:
        server.fail(endpoint="upload", status=500, body={"message": "x"}, skip=3, times=2)
        names = {"ROBOFLOW_API_KEY", "ROBOFLOW_REGION", "PYTHONPATH", "PYTHONSAFEPATH"}
        environment = {key: value for key, value in os.environ.items() if key not in names}
        environment |= {"API_URL": server.url, "HOME": str(directory), "TQDM_DISABLE": "1"}
        child = subprocess.run(
            [sdk_python, CHILD, directory],
            check=False,
            capture_output=True,
            encoding="utf-8",
            env=environment,
            timeout=240,
        )
        assert child.returncode == 0, child.stderr
        yield json.loads(child.stdout.splitlines()[-1]), server


def held(server: Remote, project: str = "ds"):
    return server.held()["workspaces"]["ws"][project]


def test_the_sdk_finds_workspace_and_projects(driven):
    seen, _ = driven

    assert ("1.7.3", ["ws/ds", "ws/cls"], "object-detection") == (
        seen["version"],
        seen["projects"],
        seen["type"],
    )


def test_the_sdk_uploads_picture_annotation_tags_and_metadata(driven):
    seen, server = driven
    image = held(server)["images"][0]

    (first,) = seen["first"]
    assert {"success": True, "id": image["id"]} == first["image"]
    assert {"success": True} == first["annotation"]
    assert ("pre+fix/ż", ["a b", "t&u"], "picture.jpg", {"camera": "1"}) == tuple(
        image[name] for name in ("batch", "tags", "name", "metadata")
    )
    assert (ANNOTATION, True) == tuple(image["annotations"][0][n] for n in ("body", "prediction"))


def test_the_sdk_meets_duplicates_and_annotations_that_are_there(driven):
    seen, server = driven
    image = held(server)["images"][0]

    (again,) = seen["duplicate"]
    assert {"duplicate": True, "id": image["id"]} == again["image"]
    assert {"warn": "already annotated"} == again["annotation"]
    assert {"success": True} == seen["overwritten"]["annotation"]
    assert [None, {"0": "cat"}] == [a["labelmap"] for a in image["annotations"]]


def test_the_sdk_retries_and_lists_batches_and_jobs(driven):
    seen, server = driven

    (plain,) = seen["plain"]
    assert (True, 2) == (plain["image"]["success"], plain["upload_retry_attempts"])
    first, second = seen["batches"]["batches"]
    assert [("pre+fix/ż", 1, 0), ("Pip Package Upload", 1, 0)] == [
        (batch["name"], batch["images"], batch["numJobs"]) for batch in (first, second)
    ]
    assert {"jobs": [{"sourceBatch": f"ds/{first['id']}", "numImages": 1}]} == seen["jobs"]
    assert [(0, 1), (1, 0)] == [(b["images"], b["numJobs"]) for b in held(server)["batches"]]


def test_the_sdk_sends_a_class_as_text(driven):
    seen, server = driven

    (labelled,) = seen["class"]
    assert {"success": True} == labelled["annotation"]
    (image,) = held(server, "cls")["images"]
    assert "żółw" == image["annotations"][0]["body"]


def test_the_sdk_says_that_a_key_is_wrong(driven):
    seen, _ = driven

    assert "this API key is unknown or revoked" in seen["bad_key"]
