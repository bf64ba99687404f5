"""What examples are tried with: al-framework's wheel, and nothing of what runs the tests."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def call():
    def run(*command, directory, **environment):
        """Return what a command prints, far from this environment and the tox around it."""
        around = ("PYTHONPATH", "TOX_", "VIRTUAL_ENV")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(around)}
        done = subprocess.run(
            [str(word) for word in command],
            cwd=directory,
            env={**inherited, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def requirement(call, tmp_path_factory):
    """Return what `pip install` needs to install the wheel with the extra for plugin authors."""
    directory = tmp_path_factory.mktemp("dist")
    call("uv", "build", "--wheel", "--quiet", "--out-dir", directory, ROOT, directory=ROOT)
    (wheel,) = directory.glob("*.whl")
    return f"{wheel}[testing]"
