"""What is written, and what is refused; that it installs and works: tests/examples."""

import importlib
import json
import sys
import tomllib

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.version import Version

import al_framework_local
import al_framework_roboflow
from al_framework import __version__
from al_framework.cli.check import check
from al_framework.cli.new_plugin import new_plugin
from al_framework.host import PluginHost

BUILT_IN = {"local": al_framework_local, "roboflow": al_framework_roboflow}
KINDS = {
    "adapter": "prediction_adapter",
    "predictor": "predictor",
    "sink": "sink",
    "source": "source",
    "strategy": "strategy",
}
WITH_PREDICTIONS = {"adapter", "sink", "strategy"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    host = PluginHost.without_discovery(BUILT_IN)
    return lambda *arguments: CliRunner().invoke(new_plugin, arguments, obj={"host": host})


@pytest.fixture
def load(monkeypatch):
    """Import a project's module, as if it were installed, for this test only."""

    def imported(project, module):
        monkeypatch.syspath_prepend(str(project / "src"))
        monkeypatch.setitem(sys.modules, module, None)  # whatever there was comes back
        del sys.modules[module]
        return importlib.import_module(module)

    return imported


def written(directory):
    files = (path for path in directory.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(directory)) for path in files)


@pytest.mark.parametrize("kind", KINDS)
def test_the_project_is_complete(run, tmp_path, kind):
    result = run("small-cat", "--kind", kind)
    frames = [f"example/frames/{number}.jpg" for number in (1, 2, 3)]
    beside = [frame.replace(".jpg", ".json") for frame in frames if kind in WITH_PREDICTIONS]

    assert result.exit_code == 0, result.output
    assert written(tmp_path / "small-cat") == sorted(
        [
            ".gitignore",
            "README.md",
            "example/al.yaml",
            *frames,
            *beside,
            "pyproject.toml",
            "src/al_framework_small_cat/__init__.py",
            "src/al_framework_small_cat/py.typed",
            "tests/test_small_cat.py",
            "tox.ini",
        ]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_to_fill_in(run, tmp_path, kind):
    run("small-cat", "--kind", kind)
    texts = [path for path in written(tmp_path / "small-cat") if not path.endswith(".jpg")]

    assert [path for path in texts if "$" in (tmp_path / "small-cat" / path).read_text()] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_is_right_as_it_is(run, load, tmp_path, kind):
    run("small-cat", "--kind", kind)
    module = load(tmp_path / "small-cat", "al_framework_small_cat")
    host = PluginHost.without_discovery({**BUILT_IN, "small-cat": module})
    example = str(tmp_path / "small-cat/example/al.yaml")
    checked = CliRunner().invoke(check, [example], obj={"host": host})
    (record,) = (record for record in host.records if record.name == "small-cat")

    assert host.problems == ()
    assert [(c.kind, c.type_name) for c in record.components] == [(KINDS[kind], "small_cat")]
    assert checked.exit_code == 0, checked.output
    assert "small_cat (plugin small-cat)" in checked.output


@pytest.mark.parametrize("kind", KINDS)
def test_the_readme_shows_the_line_of_the_example(run, tmp_path, kind):
    run("small-cat", "--kind", kind)
    readme = (tmp_path / "small-cat/README.md").read_text()
    example = (tmp_path / "small-cat/example/al.yaml").read_text()
    block = readme.partition("```yaml\n")[2].partition("```")[0].splitlines()

    assert "type: small_cat" in block[-1]
    assert block[-1] in example


def test_the_distribution_announces_the_plugin_and_takes_this_version(run, tmp_path):
    run("small-cat", "--kind", "predictor")
    project = tomllib.loads((tmp_path / "small-cat/pyproject.toml").read_text())["project"]
    requirements = {line.name: line for line in map(Requirement, project["dependencies"])}

    assert project["name"] == "al-framework-small-cat"
    assert project["entry-points"] == {"al_framework": {"small-cat": "al_framework_small_cat"}}
    assert requirements.keys() == {"al-framework", "numpy", "pydantic"}
    assert __version__ in requirements["al-framework"].specifier
    assert f"{Version(__version__).major + 1}.0" not in requirements["al-framework"].specifier


def test_predictions_beside_the_pictures_lie_inside_them(run, tmp_path):
    run("small-cat", "--kind", "strategy")
    documents = [
        json.loads(path.read_text())
        for path in sorted((tmp_path / "small-cat/example/frames").glob("*.json"))
    ]
    rows = [row for document in documents for row in document["predictions"]]

    assert len({row["confidence"] for row in rows}) == 3
    for row in rows:
        assert 0 <= row["x"] - row["width"] / 2 < row["x"] + row["width"] / 2 <= 160
        assert 0 <= row["y"] - row["height"] / 2 < row["y"] + row["height"] / 2 <= 120


@pytest.mark.parametrize(
    ("name", "distribution", "type_name"),
    [
        ("cat", "al-framework-cat", "cat"),
        ("small_cat", "al-framework-small-cat", "small_cat"),
        ("al-framework-small-cat", "al-framework-small-cat", "small_cat"),
        ("al_framework_cat", "al-framework-cat", "cat"),
        ("h2o", "al-framework-h2o", "h2o"),
    ],
)
def test_a_name_may_have_the_prefix_and_either_dash(run, tmp_path, name, distribution, type_name):
    result = run(name, "--kind", "strategy")

    assert result.exit_code == 0, result.output
    assert f'name = "{distribution}"' in (tmp_path / name / "pyproject.toml").read_text()
    assert f"a strategy of type '{type_name}'; next:" in result.output


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("SmallCat", "; did you mean 'small-cat'?"),
        ("small cat", "; did you mean 'small-cat'?"),
        ("small--cat", "; did you mean 'small-cat'?"),
        ("../cat", "; did you mean 'cat'?"),
        ("2cats", "; did you mean 'cats'?"),
        ("cat-", "; did you mean 'cat'?"),
        ("c" * 31, f"; did you mean {'c' * 30!r}?"),
        ("al-framework-", ""),
        ("katze-ä", "; did you mean 'katze'?"),
        ("", ""),
        ("42", ""),
    ],
)
def test_a_bad_name_is_refused_with_one_that_works(run, tmp_path, name, hint):
    result = run("--kind", "sink", "--", name)

    assert result.exit_code == 2
    assert (
        f"{name!r} cannot name a plugin: use lower-case letters and digits in words joined by "
        f"'-', a letter first, 30 characters at most{hint}"
    ) in result.stderr
    assert written(tmp_path) == []


@pytest.mark.parametrize("name", ["true", "false", "null"])
def test_a_value_of_yaml_is_no_name(run, tmp_path, name):
    result = run(name, "--kind", "strategy")

    assert result.exit_code == 2
    assert f"{name!r} is a value in YAML, where names stand: choose another name" in result.stderr


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("random", "strategy", "strategy type 'random' is already provided by plugin 'roboflow'"),
        ("directory", "source", "source type 'directory' is already provided by plugin 'local'"),
        ("random", "sink", None),  # another kind's type is no clash
        ("local", "strategy", "a plugin 'local' is installed already"),
        ("prediction", "adapter", "the class PredictionAdapter is one of al_framework.api"),
    ],
)
def test_a_name_that_is_taken_is_refused(run, tmp_path, name, kind, message):
    result = run(name, "--kind", kind)

    assert result.exit_code == (0 if message is None else 2)
    if message is not None:
        assert message in result.stderr
        assert result.stderr.rstrip().endswith(": choose another name")
        assert written(tmp_path) == []


@pytest.mark.parametrize("kind", [(), ("--kind", "camera")])
def test_the_kind_has_to_be_one_that_there_is(run, tmp_path, kind):
    result = run("cat", *kind)

    assert result.exit_code == 2
    for known in KINDS:
        assert known in result.stderr
    assert written(tmp_path) == []


def test_what_exists_is_not_touched(run, tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/mine").write_text("mine")
    (tmp_path / "file").write_text("mine")

    for arguments in (("cat",), ("dog", "--directory", "file")):
        result = run(*arguments, "--kind", "sink")
        assert result.exit_code == 1
        assert (
            f"{arguments[-1]}: exists already and is not an empty directory: "
            "choose another with --directory"
        ) in result.stderr
    assert written(tmp_path) == ["cat/mine", "file"]


def test_an_empty_directory_is_used(run, tmp_path):
    (tmp_path / "here").mkdir()
    result = run("cat", "--kind", "sink", "--directory", "here")

    assert result.exit_code == 0
    assert "pyproject.toml" in written(tmp_path / "here")


def test_a_directory_that_cannot_be_made_is_reported(run, tmp_path):
    (tmp_path / "file").write_text("")
    result = run("cat", "--kind", "sink", "--directory", "file/cat")

    assert result.exit_code == 1
    assert (
        "file/cat: cannot be written (Not a directory): choose another with --directory"
        in result.stderr
    )


@pytest.mark.parametrize(
    ("directory", "shown"),
    [("cat", "./cat"), ("./cat", "./cat"), ("my plugins/cat", "'./my plugins/cat'")],
)
def test_the_next_commands_can_be_pasted(run, directory, shown):
    result = run("cat", "--kind", "adapter", "--directory", directory)

    assert result.stdout == (
        f"{directory.removeprefix('./')}: written: an adapter of type 'cat'; next:\n"
        f"  pip install {shown}\n"
        "  al plugins show cat\n"
        f"  al run {shown.rstrip(chr(39))}/example/al.yaml{chr(39) if ' ' in shown else ''}\n"
    )
