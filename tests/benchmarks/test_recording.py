"""A question is asked on the command line, and what is kept says where it comes from."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from benchmarks import origin as origins
from benchmarks import page, peers, record, results
from benchmarks.__main__ import main
from benchmarks.latencies import Latency
from benchmarks.origin import origin


@pytest.fixture
def ask(monkeypatch):
    """Ask a question that is answered at once."""
    times = {"p50_us": 1.0, "p99_us": 2.0, "max_us": 3.0, "calls": 4, "ratio": 5.0}
    row = Latency(group="a group", case="a case", outputs={"decision": "limited"}, **times)
    asked = type(sys)("benchmarks.start_up")
    asked.run = lambda *, quick: [row]
    monkeypatch.setitem(sys.modules, asked.__name__, asked)
    monkeypatch.delenv(peers.VARIABLE, raising=False)
    return lambda *options: CliRunner().invoke(main, ["start_up", *options]).stdout


def test_what_is_printed_for_a_reader_says_where_it_comes_from_and_what_it_led_to(ask):
    text = " ".join(ask("--quick").split())

    assert text.startswith("rough figures of --quick, commit ")
    assert " UTC, load " in text
    assert "peer not run (AL_BENCH_PEER_PYTHON names no interpreter) a group case " in text
    assert text.endswith("a case: decision: limited")


def test_what_is_printed_for_the_page_is_read_by_it(ask, tmp_path):
    (tmp_path / "start_up.json").write_text(ask("--json"))
    measured = results.read(tmp_path)["start_up"]

    assert [{"decision": "limited"}] == [row.outputs for row in measured.rows]
    assert not measured.origin.quick


def test_rough_figures_are_not_recorded_where_the_page_finds_them():
    done = CliRunner().invoke(record.main, ["--quick", "start_up"])

    assert 2 == done.exit_code
    assert "figures of --quick are not published: name a directory" in done.output


def test_elsewhere_they_are_and_the_page_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "main", lambda: pytest.fail("the page was made"))
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(record.sys, "executable", str(tmp_path / "python"))
    command = ["--quick", "start_up", "--into", str(tmp_path / "rough")]
    done = CliRunner().invoke(record.main, command, catch_exceptions=False)

    assert 0 == done.exit_code, done.output
    asked = (tmp_path / "rough" / "start_up.json").read_text()
    assert "-m benchmarks start_up --json --quick\n" == asked


def test_where_figures_come_from_names_versions_of_what_has_an_effect():
    found = origin(quick=True)

    assert found.quick
    assert {"python", "al-framework", "numpy", "pillow", "libjpeg-turbo", "opencv", "peer"} <= set(
        found.versions
    )
    assert all(found.versions.values())
    assert all(found.machine.values())


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Stand in a checkout of its own, and return what runs git there."""
    monkeypatch.setattr(origins, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "somebody@example.org")

    def git(*arguments):
        done = subprocess.run(
            ["git", "-C", tmp_path, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(name):
        written(tmp_path / name)
        git("add", ".")
        git("commit", "--quiet", "--message", name)
        return git("rev-parse", "--short", "HEAD")

    git("init", "--quiet")
    return commit


def written(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("text")


def test_the_commit_is_the_last_that_changed_what_is_measured(checkout, tmp_path):
    changed = checkout("al_framework/module.py")
    checkout("README.md")
    checkout("benchmarks/results/start_up.json")
    written(tmp_path / "benchmarks" / "results" / "limits.json")
    found = origin(quick=False)

    assert (changed, False) == (found.commit, found.uncommitted)


@pytest.mark.parametrize("name", ["al_framework/new.py", "benchmarks/peer/new.py", "plugins/a.py"])
def test_what_is_in_no_commit_is_told(checkout, tmp_path, name):
    checkout("al_framework/module.py")
    written(tmp_path / name)

    assert origin(quick=False).uncommitted


def test_without_a_checkout_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(origins, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = origin(quick=False)

    assert ("unknown", False) == (found.commit, found.uncommitted)


def test_without_git_the_commit_is_unknown(monkeypatch):
    monkeypatch.setenv("PATH", "")

    assert "unknown" == origin(quick=False).commit
