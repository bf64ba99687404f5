"""What was accepted on either side of a fork is there to stay; each side has locks of its own."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

HANG_S = 60.0
COMMON = """
import json, logging, os, signal, subprocess, sys, threading, time
from pathlib import Path
from conftest import make_candidate, NO_LIMITS
from al_framework.api import SpoolError
from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.limits import sqlite
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Spool, database

def make():
    rules = {"a": [LimitRule(period="daily", value=1000)]}
    ledger = SqliteLedger(rules, scope="s")
    one = Spool(Path(sys.argv[1]), sinks=("s1",), ledger=ledger, clock=SystemClock(),
                limits=NO_LIMITS)
    one.open()
    return one

def accept(spool, name, count=1):
    for number in range(count):
        [answer] = spool.accept([make_candidate(f"{name}{number}")])
        assert answer.status == "accepted", answer
        spool._ledger.refresh(time.time() + 1e3 * number)  # so that its reader is open as well

def look():
    subprocess.run([sys.executable, "-c", LOOK, sys.argv[1]], check=True)

def deleted():
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:
            pass
    return [name for name in found if "deleted" in name]

def say(**what):
    os.write(1, json.dumps(what).encode() + b"\\n")

def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""
LOOK = f"{COMMON}\nLOOK = ''\nspool = make()\nspool.stats()\nspool.close()\n"


@pytest.fixture
def run(tmp_path):
    """Run a script on a spool, and return what it has said and what is left."""

    def play(script, *, before=""):
        code = f"{COMMON}\nLOOK = {LOOK!r}\n{before}\n{textwrap.dedent(script)}"
        env = os.environ | {"PYTHONPATH": os.path.dirname(__file__)}  # noqa: PTH120 - as text
        done = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, str(tmp_path / "s")],
            capture_output=True,
            text=True,
            timeout=HANG_S,
            env=env,
            check=False,
        )
        assert done.returncode in {0, -signal.SIGKILL}, done.stderr
        said = {}
        for line in done.stdout.splitlines():
            said |= json.loads(line)
        return said

    return play


@pytest.fixture
def left(make_spool, tmp_path):
    def count():
        spool = make_spool(directory=tmp_path / "s")
        return spool.stats().items, spool.verify()

    return count


# With this the threads of the parent cannot be waited for, and its connections cross.
STUCK = """
def stick():
    for one in (spool._database._lock._mutex, spool._database._read_mutex, spool._ledger._lock):
        one.acquire()
    database._FORK_WAIT_S = sqlite._FORK_WAIT_S = 0.01

def unstick():
    for one in (spool._database._lock._mutex, spool._database._read_mutex, spool._ledger._lock):
        one.release()
"""
FREE = "def stick(): pass\ndef unstick(): pass\n"


@pytest.mark.parametrize("before", [FREE, STUCK], ids=["in time", "not in time"])
def test_a_worker_goes_on_when_its_parent_closes(run, left, before):
    said = run(
        """
        spool = make()
        accept(spool, "parent")
        read_end, write_end = os.pipe()
        stick()
        if (child := os.fork()) == 0:
            accept(spool, "early")
            os.read(read_end, 1)
            look()
            accept(spool, "late", 10)
            say(deleted=deleted(), accepted=spool.counts()["s1"].accepted)
            die()
        unstick()
        time.sleep(0.2)
        spool.close()
        os.write(write_end, b"x")
        os.waitpid(child, 0)
        """,
        before=before,
    )

    assert said == {"deleted": [], "accepted": 11}
    items, report = left()
    assert (items, report.is_sound, report.stray_files) == (12, True, ())


@pytest.mark.parametrize("before", [FREE, STUCK], ids=["in time", "not in time"])
def test_a_worker_goes_on_when_its_parent_is_killed(run, left, before):
    said = run(
        """
        if os.fork():  # the one who waits for all of it
            os.wait()
            os._exit(0)
        spool = make()
        accept(spool, "parent")
        read_end, write_end = os.pipe()
        done = os.pipe()
        stick()
        worker = os.fork()
        if worker == 0:
            os.close(write_end)
            accept(spool, "early")
            os.write(done[1], b"x")
            os.read(read_end, 1)  # its end: the parent is gone
            look()
            accept(spool, "late", 10)
            say(deleted=deleted(), accepted=spool.counts()["s1"].accepted)
            os._exit(0)
        os.read(done[0], 1)
        die()
        """,
        before=before,
    )
    # The worker outlives what was waited for, but it holds the output open.

    assert said == {"deleted": [], "accepted": 11}
    items, report = left()
    assert (items, report.is_sound) == (12, True)


def test_grandchildren_have_locks_of_their_own_as_well(run, left):
    said = run(
        """
        spool = make()
        accept(spool, "parent")
        ready, closed = os.pipe(), os.pipe()
        stick()
        if (child := os.fork()) == 0:
            accept(spool, "child")
            read_end, write_end = os.pipe()
            if (grandchild := os.fork()) == 0:
                accept(spool, "grandchild")
                os.read(read_end, 1)
                look()
                accept(spool, "late", 10)
                say(deleted=deleted())
                die()
            os.write(ready[1], b"x")
            os.read(closed[0], 1)
            spool.close()
            os.write(write_end, b"x")
            os.waitpid(grandchild, 0)
            os._exit(0)
        unstick()
        os.read(ready[0], 1)
        spool.close()
        os.write(closed[1], b"x")
        os.waitpid(child, 0)
        """,
        before=STUCK,
    )

    assert said == {"deleted": []}
    assert left()[0] == 13


def test_the_parent_goes_on_with_the_same_life(run):
    said = run(
        """
        spool = make()
        accept(spool, "before", 2)
        for number in range(3):
            if (child := os.fork()) == 0:
                os._exit(0)
            os.waitpid(child, 0)
            accept(spool, f"after{number}")
        with spool._database.read() as tx:
            lives = tx.execute("SELECT count(*) FROM life").fetchone()[0]
        say(accepted=spool.counts()["s1"].accepted, lives=lives, used=spool._ledger.used(
            "a", 1_700_000_000.0)["daily"])
        spool.close()
        """
    )

    assert said == {"accepted": 5, "lives": 1, "used": 5}


def test_two_threads_may_fork_at_once_while_others_work(run, left):
    said = run(
        """
        spool = make()
        go = threading.Event()

        def fork(name):
            go.wait()
            for number in range(5):
                if (child := os.fork()) == 0:
                    accept(spool, f"{name}{number}")
                    die()
                os.waitpid(child, 0)

        def work():
            go.wait()
            accept(spool, "work", 20)

        threads = [threading.Thread(target=fork, args=(name,)) for name in "pq"]
        threads.append(threading.Thread(target=work))
        for thread in threads:
            thread.start()
        go.set()
        for thread in threads:
            thread.join()
        say(accepted=spool.counts()["s1"].accepted)
        die()
        """
    )

    assert said["accepted"] >= 20  # and what killed workers left, if somebody has taken it over
    assert left()[0] == 30


MIDDLE = """
def hold():
    with spool._database.{how}():
        inside.set()
        leave.wait()
"""


@pytest.mark.parametrize("how", ["locked", "read"])
def test_the_child_of_a_fork_in_the_middle_of_something_refuses(run, left, how):
    said = run(
        """
        spool = make()
        accept(spool, "parent")
        database._FORK_WAIT_S = sqlite._FORK_WAIT_S = 0.01
        inside, leave = threading.Event(), threading.Event()
        thread = threading.Thread(target=hold)
        thread.start()
        inside.wait()
        if (child := os.fork()) == 0:
            for call in (lambda: accept(spool, "child"), spool.stats, spool.close):
                try:
                    call()
                except SpoolError as exc:
                    say(error=str(exc).partition(": ")[2])
                else:
                    say(error="none")
            os._exit(0)
        leave.set()
        thread.join()
        os.waitpid(child, 0)
        accept(spool, "after")
        spool.close()
        """,
        before=MIDDLE.format(how=how),
    )

    assert said == {
        "error": "this process was forked while its parent was in the middle of using the spool;"
        " fork again, or build the collector after the fork"
    }
    assert left()[0] == 2


def test_a_ledger_that_was_forked_in_the_middle_of_a_reading_refuses(run, left):
    said = run(
        """
        spool = make()
        accept(spool, "parent")
        sqlite._FORK_WAIT_S = 0.01
        spool._ledger._lock.acquire()
        spool._ledger._is_reading = True
        if (child := os.fork()) == 0:
            try:
                accept(spool, "child")
            except SpoolError as exc:
                say(error=str(exc))
            os._exit(0)
        spool._ledger._is_reading = False
        spool._ledger._lock.release()
        os.waitpid(child, 0)
        accept(spool, "after")
        """
    )

    assert said == {
        "error": "limits: this process was forked while its parent was in the middle of reading"
        " them; fork again, or build the collector after the fork"
    }
    assert left()[0] == 2


def test_two_spools_of_one_process_keep_each_other_s_log(run, left):
    said = run(
        """
        first, second = make(), make()
        accept(first, "1.")
        look()
        if (child := os.fork()) == 0:
            look()
            accept(first, "3.")
            accept(second, "4.")
            look()
            say(deleted=deleted())
            die()
        os.waitpid(child, 0)
        accept(second, "2.")
        look()
        say(parent_deleted=deleted())
        accept(first, "5.", 3)
        die()
        """
    )

    assert said == {"deleted": [], "parent_deleted": []}
    assert left()[0] == 7


def test_a_worker_that_is_too_late_for_its_locks_refuses(run):
    said = run(
        """
        from al_framework.pipeline import crossing

        spool = make()
        accept(spool, "parent")
        stick()
        real, crossing._WAIT_S = crossing.Crossing.hold_locks, 0.05

        def late(self):
            spool.directory.joinpath("spool.db-shm").rename(spool.directory / "gone")
            return real(self)

        crossing.Crossing.hold_locks = late
        if (child := os.fork()) == 0:
            try:
                accept(spool, "child")
            except SpoolError as exc:
                say(error=str(exc).partition(": ")[2])
            os._exit(0)
        os.waitpid(child, 0)
        die()
        """,
        before=STUCK,
    )

    assert said["error"].startswith("this process was forked while its parent was in the middle")
