"""The search for the key of a run finds it, wherever and in whatever form a test leaves it."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
HANG_S = 120.0
HEAD = """
import base64, logging, urllib.parse, pytest
"""
TRIALS = {
    "file": "def test_it(canary, tmp_path): (tmp_path / 'a.bin').write_bytes(b'x' + K)",
    "split": (
        "def test_it(canary, tmp_path): (tmp_path / 'a.bin').write_bytes(bytes((1 << 24) - 20) + K)"
    ),
    "piece": "def test_it(canary, tmp_path): (tmp_path / 'a.bin').write_bytes(b'x' + K[7:13])",
    "quoted": (
        "def test_it(canary, tmp_path):"
        " (tmp_path / 'a.bin').write_text(urllib.parse.quote(canary.key))"
    ),
    "base64": (
        "def test_it(canary, tmp_path):"
        " (tmp_path / 'a.bin').write_bytes(base64.b64encode(b'us:' + b'e' + K))"
    ),
    "name": "def test_it(canary): print(canary.key)",
    "log": "def test_it(canary): logging.warning('with %s', canary.key)",
    "complaint": ("@pytest.mark.xfail\ndef test_it(canary): raise ValueError(canary.key)"),
}
PLACES = {
    "name": "(Captured stdout call)",
    "log": "(Captured log call)",
    "complaint": "(complaint)",
}


@pytest.fixture
def trial(tmp_path):
    """Run a test of its own, followed by another that has nothing to hide."""

    def run(text, *options):
        file = tmp_path / "test_trial.py"
        file.write_text(HEAD + text.replace("K", "canary.key.encode()") + "\ndef test_b(): pass\n")
        base = f"--basetemp={tmp_path / 'base'}"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "escapes"]
        done = subprocess.run(
            [*command, "-c", os.devnull, f"--rootdir={tmp_path}", base, *options, str(file)],
            env={**os.environ, "PYTHONPATH": str(HERE), "PYTEST_ADDOPTS": ""},
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.parametrize("name", TRIALS)
def test_a_key_that_is_left_behind_fails_the_run_and_is_named(trial, name):
    status, shown = trial(TRIALS[name])

    assert status == 1, shown
    assert "ERROR at teardown of test_b" in shown
    assert f"{PLACES.get(name, 'a.bin')} shows the canary's key as '" in shown


def test_a_key_that_was_given_and_that_of_others_fail_nothing(trial):
    status, shown = trial(
        "def test_it(canary, tmp_path):\n"
        "    canary.allow(tmp_path / 'given')\n"
        "    (tmp_path / 'given').mkdir()\n"
        "    (tmp_path / 'given' / 'a').write_bytes(K)\n"
        "    (tmp_path / 'b').write_bytes(b'~_~_abc~_123~_' + K[:5])\n"
        "    print('~_', len(canary.key))\n"
    )

    assert status == 0, shown


def test_every_run_has_a_key_of_its_own(canary):
    other = type(canary)(random.SystemRandom())

    assert canary.key != other.key
    assert len(other.key) == 40


def test_workers_of_xdist_search_what_is_theirs(trial):
    pytest.importorskip("xdist", reason="pytest-xdist is not installed, so nobody uses it")
    status, shown = trial(TRIALS["file"], "-p", "xdist", "-n", "2")

    assert status == 1, shown
    assert "a.bin shows the canary's key as '" in shown
