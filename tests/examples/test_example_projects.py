"""The example distributions as their authors see them: short, and tested by their own tox."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READMES = sorted((ROOT / "examples").glob("*/README.md"))
# What the READMEs' commands begin with, and who runs such.
RUN_BY = {
    "pip install ./examples/": "tox.ini, before these tests",
    "al plugins": "test_a_plugin_is_listed_with_distribution_and_version",
    "AL_FRAMEWORK='../..[testing]' tox": "test_its_own_tox_passes_away_from_the_repository",
    "python prepare.py": "test_the_commands_of_the_quick_start_work",
    "al run al.yaml": "test_the_commands_of_the_quick_start_work",
}
PROJECTS = sorted(path.parent.name for path in (ROOT / "examples").glob("*/pyproject.toml"))


def test_the_strategy_is_less_than_35_lines():
    module = ROOT / "examples/al-framework-entropy/al_framework_entropy.py"

    assert len(module.read_text(encoding="utf-8").splitlines()) < 35


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_is_whole(name):
    project = ROOT / "examples" / name
    metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert metadata["name"] == name
    assert "al_framework" in metadata["entry-points"]
    assert any(line.startswith("al-framework>=") for line in metadata["dependencies"])
    assert (project / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert f"# {name}\n" in (project / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_every_command_of_a_readme_is_run_somewhere(readme):
    text = readme.read_text(encoding="utf-8")
    shown = "".join(re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    commands = re.findall(r"^\$ (.*)$", shown, re.MULTILINE)

    assert commands
    assert len(commands) == len(shown.splitlines())  # and no output that nothing compares
    for command in commands:
        assert any(command.startswith(words) for words in RUN_BY), command


def test_who_is_said_to_run_the_commands_is_there():
    here = "".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("*.py"))
    tests = {name for name in RUN_BY.values() if name.startswith("test_")}

    assert [name for name in sorted(tests) if f"def {name}(" not in here] == []


def test_the_environment_of_these_tests_installs_what_the_readmes_say():
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8").replace("{/}", "/")

    assert PROJECTS
    assert [name for name in PROJECTS if f"{{tox_root}}/examples/{name}" not in tox] == []


@pytest.mark.third_party
@pytest.mark.parametrize("name", PROJECTS)
def test_its_own_tox_passes_away_from_the_repository(name, call, requirement, tmp_path):
    left = shutil.ignore_patterns(".*", "__pycache__", "build", "dist")
    project = shutil.copytree(ROOT / "examples" / name, tmp_path / name, ignore=left)

    tox = ("uv", "tool", "run", "--quiet", "--with", "tox-uv", "tox")
    output = call(*tox, directory=project, AL_FRAMEWORK=requirement)

    assert "py: OK" in output
    assert "lint: OK" in output
