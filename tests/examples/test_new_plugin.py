"""What `al new-plugin` writes installs, passes its own tests and takes part in a run, unedited.

One environment for all kinds, made of the built wheel and nothing else.
"""

import itertools
import json
import sqlite3
from contextlib import closing

import pytest

from al_framework.cli._scaffolding import PluginProject

pytestmark = pytest.mark.third_party

NAMES = {
    "strategy": "hello",
    "sink": "hello-sink",
    "source": "hello-source",
    "adapter": "hello-adapter",
    "predictor": "hello-predictor",
}


class Place:
    """A directory, and an environment that knows al-framework from its wheel alone."""

    def __init__(self, directory, call, requirement):
        self.directory = directory
        self.bin = directory / "environment" / "bin"
        self.requirement = requirement
        self._call = call
        self.call("uv", "venv", "--quiet", directory / "environment")
        self.install(requirement, "mypy", "ruff")

    def call(self, *command, directory=".", **environment):
        return self._call(*command, directory=self.directory / directory, **environment)

    def install(self, *what):
        self.call("uv", "pip", "install", "--quiet", "--python", self.bin / "python", *what)

    def run(self, command, *arguments, directory=".", **environment):
        return self.call(self.bin / command, *arguments, directory=directory, **environment)


@pytest.fixture(scope="module")
def place(tmp_path_factory, call, requirement):
    return Place(tmp_path_factory.mktemp("authors"), call, requirement)


@pytest.fixture(scope="module", params=NAMES)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def project(place, kind):
    """The project as it was written, installed."""
    name = NAMES[kind]
    place.run("al", "new-plugin", name, "--kind", kind)
    place.install(f"./{name}")
    return name


def manifest(place, project):
    """The lines by frame: workers deliver side by side, so the file's own order is open."""
    lines = (place.directory / project / "example/collected/manifest.jsonl").read_text()
    return sorted(map(json.loads, lines.splitlines()), key=lambda line: line["frame_id"])


def test_it_is_listed_and_shown(place, project):
    records = {r["name"]: r for r in json.loads(place.run("al", "plugins", "--json"))["plugins"]}
    shown = place.run("al", "plugins", "show", project.replace("-", "_"))

    assert records[project]["state"] == "loaded"
    assert records[project]["distribution"] == f"al-framework-{project}"
    assert f"al-framework-{project} 0.1.0" in shown


def test_its_component_decides_in_a_real_run(place, project, kind):
    counts = json.loads(place.run("al", "run", "--json", f"{project}/example/al.yaml"))["counts"]

    assert counts["offered"] == 3
    if kind == "strategy":
        assert counts["strategies"]["mine"]["evaluated"] == 3
        assert [
            (line["frame_id"], line["strategy"], line["reason"])
            for line in manifest(place, project)
        ] == [("directory/3.jpg", "mine", "the least sure detection has 0.34")]
    elif kind == "sink":
        assert counts["sinks"]["hello_sink"]["delivered"] == 3
        with closing(sqlite3.connect(place.directory / project / "example/collected.db")) as found:
            assert found.execute("SELECT count(*) FROM datapoint").fetchone() == (3,)
    elif kind == "source":
        assert [line["source"] for line in manifest(place, project)] == ["camera"] * 3
    elif kind == "predictor":
        lines = manifest(place, project)
        assert [line["model_id"] for line in lines] == ["hello_predictor/1"] * 3
        assert [line["prediction"]["class_name"] for line in lines] == [["bright"]] * 3
    else:
        boxes = [line["prediction"]["xyxy"] for line in manifest(place, project)]
        assert boxes == [[[12, 20, 60, 90]], [[50, 30, 130, 80]], [[100, 60, 148, 112]]]


def test_it_passes_its_own_tests(place, project):
    output = place.run("pytest", "-p", "no:cacheprovider", directory=project)

    assert "failed" not in output
    assert int(output.rsplit(" passed", 1)[0].rsplit(" ", 1)[1]) >= 10


def test_its_types_rules_and_format_are_right(place, project):
    # The cache is shared: what all kinds import is looked at once.
    place.run("mypy", directory=project, MYPY_CACHE_DIR=str(place.directory / "mypy"))
    place.run("ruff", "check", directory=project)
    place.run("ruff", "format", "--check", directory=project)


def test_no_name_is_too_short_or_too_long_for_the_format(place):
    names = ("x", "abcdefghij-abcdefghij-abcdefgh")
    for name, kind in itertools.product(names, NAMES):
        for path, content in PluginProject.named(name, kind=kind).files():
            file = place.directory / "formats" / f"{kind}-{name}" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    place.run("ruff", "check", directory="formats")
    assert "30 files already formatted" in place.run(
        "ruff", "format", "--check", directory="formats"
    )


def test_its_tox_runs_what_others_would_install(place):
    place.run("al", "new-plugin", "with-tox", "--kind", "strategy")
    tox = ("uv", "tool", "run", "--quiet", "--with", "tox-uv", "tox")
    output = place.call(*tox, directory="with-tox", AL_FRAMEWORK=place.requirement)

    assert "py: OK" in output
    assert "lint: OK" in output
