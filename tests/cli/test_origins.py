import sys
from pathlib import Path

import pytest

import al_framework_local
from al_framework.api import Receipt, Sink
from al_framework.cli._origins import class_file, class_line, class_name, plugin_file
from al_framework.host import PluginRecord, Registration


def record(module):
    return PluginRecord(name="p", distribution=None, version=None, module=module, state="failed")


@pytest.mark.parametrize(
    ("module", "file"),
    [
        ("al_framework_local", al_framework_local.__file__),
        ("al_framework_local:plugin", al_framework_local.__file__),
        ("al_framework_local.no_such_module", al_framework_local.__file__),
        ("no_such_module_here", None),
        ("no_such_module_here.part", None),
        ("sys", None),
        ("", None),
    ],
)
def test_a_plugin_is_found_by_its_module_or_its_package(module, file):
    assert plugin_file(record(module)) == file


def test_a_plugin_that_was_not_imported_is_found_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "never_imported"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))

    assert plugin_file(record("never_imported.part")) == str(package / "__init__.py")
    assert "never_imported" not in sys.modules


class Box(Sink):
    type_name = "box"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


def registered(component):
    return Registration(kind="sink", type_name="box", component=component, plugin="p")


def test_a_class_is_found_by_file_and_line():
    box = registered(Box)
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()

    assert class_name(box) == f"{__name__}:Box"
    assert class_file(box) == __file__
    assert lines[(class_line(box) or 0) - 1] == "class Box(Sink):"


def test_a_class_without_a_text_has_no_line():
    box = registered(type("Box", (Box,), {"__module__": "no_such_module_here"}))

    assert (class_file(box), class_line(box)) == (None, None)
