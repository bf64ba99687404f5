"""Run every block of the README, as a reader would; the test command itself is run by `.ci/run`."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.docs

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- ([a-z][^>]*?) -->\n```(\w+)\n(.*?)```\n<!-- /", re.DOTALL)
BLOCKS = {name: (language, text) for name, language, text in BLOCK.findall(README)}


def block(name):
    return BLOCKS[name][1]


def bash(script, directory):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The repository as a stranger gets it, after README command 1."""
    directory = tmp_path_factory.mktemp("clone") / "al-framework"
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    bash(block("quickstart"), directory)
    return directory


def manifest(clone):
    text = (clone / "examples/quickstart/collected/manifest.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_every_block_of_the_readme_is_marked_for_a_test():
    fences = re.findall(r"^```(\w+)$", README, re.MULTILINE)

    assert len(fences) == len(BLOCKS) + 1  # the diagram
    assert fences.count("mermaid") == 1


def test_the_quick_start_collects_real_frames_and_a_page(clone):
    collected = clone / "examples/quickstart/collected"
    datapoints = manifest(clone)
    page = (collected / "index.html").read_text(encoding="utf-8")

    assert len(datapoints) >= 15
    assert {d["source"] for d in datapoints} == {"photos", "clip"}
    for datapoint in datapoints:
        scores = datapoint["prediction"]["confidence"]
        assert any(0.3 < score < 0.5 for score in scores)
        assert (collected / datapoint["file"]).read_bytes()[:2] == b"\xff\xd8"
    assert "data:image/jpeg;base64," in page
    assert 'src="http' not in page


def test_the_quick_start_again_adds_nothing(clone):
    before = manifest(clone)
    output = bash(".venv/bin/al run examples/quickstart/al.yaml", clone)

    assert manifest(clone) == before
    assert re.search(r"accepted\s+0", output)


def test_the_commands_after_the_quick_start_work(clone):
    output = bash(block("after the quickstart"), clone)
    collected = clone / "examples/quickstart/collected"

    assert "photos/coffee.png" in output
    import supervision as sv
    from pycocotools.coco import COCO

    coco = COCO(str(collected / "coco" / "annotations.json"))
    assert len(coco.getImgIds()) == len(manifest(clone))
    assert all("score" in annotation for annotation in coco.anns.values())
    yolo = sv.DetectionDataset.from_yolo(
        images_directory_path=str(collected / "yolo" / "images"),
        annotations_directory_path=str(collected / "yolo" / "labels"),
        data_yaml_path=str(collected / "yolo" / "data.yaml"),
    )
    assert len(yolo) == len(manifest(clone))


def test_the_operating_commands_find_everything_in_order(clone):
    output = bash(block("operating"), clone)

    assert "waiting    0 datapoints" in output
    assert ": all as they were accepted" in output
    assert "no dead letters" in output


def test_the_configuration_and_the_collector_work(tmp_path):
    (tmp_path / "al.yaml").write_text(block("configuration"), encoding="utf-8")
    (tmp_path / "program.py").write_text(block("collector"), encoding="utf-8")
    al = Path(sys.executable).with_name("al")
    bash(f"'{al}' check al.yaml", tmp_path)
    output = bash(f"'{sys.executable}' program.py", tmp_path)
    lines = (tmp_path / "collected" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()

    assert "status='queued'" in output
    assert [json.loads(line)["model_id"] for line in lines] == ["cats/3"]
    assert len(block("collector").splitlines()) <= 10


def test_the_strategy_installs_and_decides(clone, tmp_path):
    project = clone / "al-framework-small-objects"
    project.mkdir()
    for name in ("al_framework_small_objects.py", "pyproject.toml"):
        (project / name).write_text(block(f"strategy {name}"), encoding="utf-8")
    output = bash(block("strategy install"), clone)
    listed = json.loads(bash(".venv/bin/al plugins --json", clone))
    config = (clone / "examples/quickstart/al.yaml").read_text(encoding="utf-8")
    config = config.replace(
        "  sampling_strategies:\n",
        "  sampling_strategies:\n    - {name: tiny, type: small_objects, max_share: 0.05}\n",
    )
    (clone / "examples/quickstart/tiny.yaml").write_text(config, encoding="utf-8")
    run = bash(".venv/bin/al run --dry-run --json examples/quickstart/tiny.yaml", clone)
    counts = json.loads(run)["counts"]

    assert "small_objects" in output
    assert "al-framework-small-objects" in json.dumps(listed)
    assert counts["strategies"]["tiny"]["evaluated"] == counts["offered"]
    assert counts["strategies"]["tiny"]["matched"] > 0
    assert len(block("strategy al_framework_small_objects.py").splitlines()) <= 32


def test_the_sink_is_swapped_by_the_diff(tmp_path):
    config = tmp_path / "al.yaml"
    config.write_text(block("configuration"), encoding="utf-8")
    removed = [line[1:] for line in block("sink").splitlines() if line.startswith("-")]
    added = [line[1:] for line in block("sink").splitlines() if line.startswith("+")]
    (old,) = removed
    swapped = "\n".join(added).replace("/tmp/al-backup", str(tmp_path / "backup"))  # noqa: S108 - as in the README
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, swapped), encoding="utf-8")
    (tmp_path / "program.py").write_text(block("collector"), encoding="utf-8")
    bash(f"'{sys.executable}' program.py", tmp_path)

    for name in ("collected", "backup"):
        assert (tmp_path / name / "manifest.jsonl").read_text(encoding="utf-8").count("\n") == 1


def test_the_roboflow_lines_fit_into_the_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("ROBOFLOW_API_KEY", "a-key-of-nobody")
    head = block("configuration").partition("active_learning:")[0]
    config = tmp_path / "al.yaml"
    config.write_text(head + block("roboflow configuration"), encoding="utf-8")

    al = Path(sys.executable).with_name("al")

    assert "document    of a server" in bash(f"'{al}' check '{config}'", tmp_path)


def test_the_local_server_takes_the_documents_and_gets_the_pictures(clone):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    config = clone / "examples/quickstart/roboflow.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("9876", port), encoding="utf-8")
    bash(block("roboflow tryout").replace("9876", port), clone)
    stored = sorted(path.suffix for path in (clone / "uploaded").rglob("*") if path.is_file())

    assert stored.count(".jpg") >= 3
    assert stored.count(".json") >= 3
