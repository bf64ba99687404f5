"""The process that stands for the peer, with an interpreter that has none of its packages."""

import io
import json
import sys

import pytest

from benchmarks import peers
from benchmarks.peer import Work
from benchmarks.peer import __main__ as serving


@pytest.fixture
def somebody(monkeypatch):
    """Let this interpreter stand where the peer's would."""
    monkeypatch.setenv(peers.VARIABLE, sys.executable)


@pytest.fixture
def nobody(monkeypatch):
    """Let no interpreter be named."""
    monkeypatch.delenv(peers.VARIABLE, raising=False)


@pytest.mark.usefixtures("nobody")
def test_without_an_interpreter_nothing_is_run_and_that_is_said():
    with peers.interpreter() as peer:
        assert not peer.there
        assert peer.side("registering") is None
        assert peer.outcome("registering") is None
    assert "not run (AL_BENCH_PEER_PYTHON names no interpreter)" == peers.version()


@pytest.mark.usefixtures("somebody")
def test_an_interpreter_without_the_peer_is_named(capfd):
    with pytest.raises(
        SystemExit, match=r"AL_BENCH_PEER_PYTHON is '.*', which has no inference-cpu"
    ):
        peers.version()
    assert "PackageNotFoundError" in capfd.readouterr().err


def test_an_interpreter_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv(peers.VARIABLE, str(tmp_path / "python"))
    message = r"AL_BENCH_PEER_PYTHON is '.*python', which is no program: name the peer's interp"

    with pytest.raises(SystemExit, match=message):
        peers.version()
    with pytest.raises(SystemExit, match=message), peers.interpreter():
        pass


@pytest.mark.usefixtures("somebody")
def test_what_fails_there_is_shown_here():
    message = r"(?s)the peer failed:\n.*No module named 'benchmarks.peer.nothing'"
    with peers.interpreter() as peer, pytest.raises(peers.PeerError, match=message):
        peer.side("nothing")


@pytest.mark.usefixtures("somebody")
def test_a_peer_that_has_gone_is_told_of():
    with peers.interpreter() as peer:
        process = peer._process
        process.kill()
        process.wait()
        with pytest.raises(peers.PeerError, match="the peer has gone, with the exit status -9"):
            peer.side("registering")


def answers(monkeypatch, *orders):
    lines, out = io.StringIO("".join(f"{json.dumps(order)}\n" for order in orders)), io.StringIO()
    monkeypatch.setattr(sys, "stdin", lines)
    serving.serve(out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_orders_are_carried_out_one_after_the_other(monkeypatch):
    calls = []
    module = type(sys)("benchmarks.peer.counting")
    module.prepare = lambda step: Work(call=lambda: calls.append(step), outcome=lambda: len(calls))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    prepared, run, outcome, failed = answers(
        monkeypatch,
        {"order": "prepare", "number": 5, "module": "counting", "settings": {"step": 2}},
        {"order": "run", "number": 5, "calls": 3},
        {"order": "outcome", "number": 5},
        {"order": "run", "number": 6, "calls": 1},
    )

    assert {} == prepared
    assert [2, 2, 2] == calls
    assert {"cpu_s", "wall_s"} == {*run}
    assert {"outcome": 3} == outcome
    assert "KeyError: 6" in failed["failed"]
