"""What the built wheel holds; built once, as pip would build it."""

import subprocess
import zipfile
from collections import Counter
from configparser import ConfigParser
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INTENDED = {
    "al_framework",
    "al_framework_adapters",
    "al_framework_local",
    "al_framework_onnx",
    "al_framework_roboflow",
    "al_framework_video",
    "al_framework_webhook",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = ["uv", "build", "--wheel", "--quiet", "--out-dir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        yield archive


def entry_points_of(archive):
    (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/entry_points.txt")]
    parser = ConfigParser(delimiters=("=",))
    parser.optionxform = str
    parser.read_string(archive.read(name).decode())
    return {section: dict(parser[section]) for section in parser.sections()}


def test_wheel_installs_exactly_the_intended_top_level_names(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == INTENDED


def test_every_entry_point_names_a_packaged_module_and_each_only_once(wheel):
    groups = entry_points_of(wheel)
    values = Counter(value for group in groups.values() for value in group.values())
    modules = {value.partition(":")[0] for value in values}
    files = set(wheel.namelist())

    assert set(groups["al_framework"].values()) == INTENDED - {"al_framework"}
    assert [value for value, count in values.items() if count > 1] == []
    for module in modules:
        path = module.replace(".", "/")
        assert {f"{path}.py", f"{path}/__init__.py"} & files, module


def test_wheel_carries_the_licence_the_typing_marker_and_the_class_names(wheel):
    names = wheel.namelist()

    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert "al_framework/py.typed" in names
    assert "al_framework_onnx/coco80.txt" in names


def test_installed_entry_points_load_and_are_announced_by_one_distribution_each():
    for group in ("al_framework", "al_framework.commands"):
        names = Counter(ep.name for ep in metadata.entry_points(group=group))
        assert [name for name, count in names.items() if count > 1] == []
    own = [
        ep
        for ep in metadata.entry_points(group="al_framework")
        if ep.dist is not None and ep.dist.name == "al-framework"
    ]

    assert {ep.load().__name__ for ep in own} == INTENDED - {"al_framework"}
