"""Processes are killed at random moments, by the dozen: nothing accepted is lost or stored twice.

Two writers, a leader and a standby share one spool; the service they deliver to fails now and then,
before and after it has done what it was asked to. What counts is written by others than the code
under test: an ack log, and the log of the service.
"""

import json
from collections import Counter

import pytest


@pytest.fixture(scope="module")
def crews(children, tmp_path_factory, run_seed, size):
    """Run two crews at once, which mostly wait for the next kill; return what each has left."""
    kills, running = size.pick(ci=60, full=250, soak=2500), []
    for run in (0, 1):
        directory = tmp_path_factory.mktemp("crew")
        remote = children.start("remote", directory / "remote.log", run_seed)
        port = int(remote.stdout.readline())
        crew = children.start("kill_crew", directory, port, run_seed + run, kills)
        running.append((directory, crew))
    ended = []
    for directory, crew in running:
        output, errors = crew.communicate(timeout=kills * 5.0 + 900.0)
        assert crew.returncode == 0, errors
        ended.append((directory, kills, json.loads(output)))
    return ended


@pytest.mark.timeout(0)  # a soak takes hours; the children have hang limits of their own
@pytest.mark.usefixtures("seed")  # which prints it
@pytest.mark.parametrize("run", [0, 1])
def test_whatever_is_killed_everything_accepted_arrives_once(crews, run):
    directory, kills, report = crews[run]
    report["log"] = Counter(
        (line["op"], line.get("new"))
        for line in map(json.loads, (directory / "remote.log").read_text().splitlines())
    )
    described = "\n".join(f"{name}: {value}" for name, value in report.items())
    print(described)  # noqa: T201 - the evidence, with pytest -rP
    assert report["verdict"] == {}, described
    assert report["broken rows"] == [], described
    # A commit that was cut short is no damage: nothing is built anew, and delivered again.
    assert report["indexes set aside"] == 0, described
    assert report["ended by themselves"] == [], described
    assert sum(report["kills"].values()) >= kills
    assert "dead" not in report, described
    assert "hangs" not in report, described
    assert report["fresh delivered"] is True, described
    assert report["adds up"] is True
    assert report["accepted"] > kills
    # One credit for each picture that the service holds: none lost to a kill, none taken twice.
    assert report["credits"] == report["log"]["image", True], described
