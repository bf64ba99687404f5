"""Plugins that are broken or lack an extra are named, and what works without them goes on."""

import sys

BROKEN = "raise ImportError('libcamera.so is missing')"


def replace(desk, old, new):
    path = desk.directory / "al.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def unknown_type(desk):
    replace(desk, "type: random", "type: randum")


def predictor(desk, model):
    replace(desk, "sinks:", f"predictor: {{type: onnx, model: {model}}}\nsinks:")


def test_an_unknown_type_lists_what_exists_and_which_plugins_failed(fine):
    fine.install("broken", BROKEN)
    unknown_type(fine)
    for command in ("run", "check"):
        result = fine.call(command, "al.yaml")

        assert result.status == 2
        assert "'randum'" in result.err
        assert "'close_to_threshold'" in result.err
        assert "'random'" in result.err
        assert "plugin 'broken' (al-broken 1.2)" in result.err
        assert "libcamera.so is missing" in result.err


def test_a_broken_plugin_beside_working_ones_is_named_and_left_out(fine):
    fine.install("broken", BROKEN)
    result = fine.call("run", "al.yaml")

    assert result.status == 0
    assert "  - plugin 'broken' (al-broken 1.2): the import of 'site_broken' failed: " in result.out
    assert "ImportError: libcamera.so is missing" in result.out
    assert fine.collected() == ["cam/000.jpg", "cam/001.jpg"]


def test_a_missing_extra_is_one_sentence_that_names_it(al, fine, monkeypatch):
    predictor(fine, "model.onnx")
    (fine.directory / "model.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = al("run", "al.yaml")

    assert result.status == 1
    assert result.err == (
        "Error: predictor 'onnx' (plugin 'onnx') could not start: the package 'onnxruntime' is not "
        "installed: run pip install 'al-framework[onnx]'\n"
    )


def test_a_missing_extra_of_a_source_is_named_too(al, fine, monkeypatch):
    replace(fine, "type: directory, path: frames", "type: video, path: clip.mp4")
    (fine.directory / "clip.mp4").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "av", None)
    result = al("run", "al.yaml")

    assert result.status == 1
    assert result.err == (
        "Error: source 'cam' (plugin 'video') could not start: the package 'av' is not installed: "
        "run pip install 'al-framework[video]'\n"
    )
