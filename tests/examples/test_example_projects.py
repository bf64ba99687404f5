"""The example distributions as their authors see them: short, and tested by their own tox."""

import shutil
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.mark.third_party
@pytest.mark.parametrize("name", PROJECTS)
def test_its_own_tox_passes_away_from_the_repository(name, call, requirement, tmp_path):
    left = shutil.ignore_patterns(".*", "__pycache__", "build", "dist")
    project = shutil.copytree(ROOT / "examples" / name, tmp_path / name, ignore=left)

    tox = ("uv", "tool", "run", "--quiet", "--with", "tox-uv", "tox")
    output = call(*tox, directory=project, AL_FRAMEWORK=requirement)

    assert "py: OK" in output
    assert "lint: OK" in output
