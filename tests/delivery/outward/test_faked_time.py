"""The clock of a whole process is set while it runs: libfaketime stands between it and the kernel.

`test_clock_jumps` moves clocks that are handed in; this shows that nobody reads another. As on a
machine whose clock is set, what only ever grows is not touched. In CI it takes seconds; the walk
takes a minute with ``AL_TEST_SIZE=full``, and half an hour in a soak, where the wall is left alone
for so long that jumps are believed.
"""

import json
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from al_framework.pipeline.clock import BELIEVE_AFTER_S, LOOK_EVERY_S, ticks

PLACES = ("/usr/lib", "/usr/lib/*", "/usr/local/lib")
LIBRARIES = [
    path for place in PLACES for path in Path("/").glob(f"{place[1:]}/faketime/libfaketimeMT.so.1")
]
pytestmark = pytest.mark.skipif(
    not LIBRARIES, reason="libfaketime is not installed: run apt-get install libfaketime"
)
LIMIT = 5  # a minute
MINUTE, HOUR, DAY = 60, 3600, 86400
PHASE_S = 5  # of a minute, at which each begins
NOTICED_S = LOOK_EVERY_S + 0.1
HANG_S = 120.0
# How the wall is set, and the minutes whose budget is spent then, counted from the first one.
CASES = {
    "an hour on": ([HOUR], {0, HOUR // MINUTE}),
    "an hour back": ([-HOUR], {0}),
    "a day on": ([DAY], {0, DAY // MINUTE}),
    "a day back": ([-DAY], {0}),
    "over the edge of a window and back": ([MINUTE - PHASE_S, PHASE_S - MINUTE], {0, 1}),
}
STEPS = (1, -1, 10, -10, 59, -59, 61, -61, HOUR, -HOUR, DAY, -DAY)


class Machine:
    """A machine whose clock can be set, and what runs on it and shares a spool.

    Args:
        directory: Everything is in it.
        children: Starts processes.
    """

    def __init__(self, directory, children):
        self.directory, self._children = directory, children
        self._running = []
        self.reports = []
        directory.mkdir()
        self.away_s = round(PHASE_S - time.time() % MINUTE)
        self.set_clock(0)

    def set_clock(self, seconds):
        """Set the wall forward, or back; at once for all."""
        self.away_s += seconds
        new = self.directory / "clock.new"
        new.write_text(f"{self.away_s:+}\n")
        new.replace(self.directory / "clock")

    def begin(self, name):
        variables = {
            "LD_PRELOAD": LIBRARIES[0],
            "FAKETIME_TIMESTAMP_FILE": self.directory / "clock",
            "FAKETIME_NO_CACHE": 1,
            "FAKETIME_DONT_FAKE_MONOTONIC": 1,
            # Waits that go by ticks are right without it; with it, they spin.
            "FAKETIME_FORCE_MONOTONIC_FIX": 0,
            "NO_FAKE_STAT": 1,  # files keep the moment at which they were written
        }
        prefix = ("env", *(f"{name}={value}" for name, value in variables.items()))
        process = self._children.start("faked_time", self.directory, name, LIMIT, prefix=prefix)
        self._running.append(process)
        return process

    def end(self, process):
        """Tell a process to end; not before it can hear that."""
        self.wait_for(lambda: any(line["process"] == process.pid for line in self.lines("offers")))
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=HANG_S)
        assert process.returncode == 0, errors
        self._running.remove(process)
        self.reports.append(json.loads(output))

    def end_all(self):
        self.open()
        for process in tuple(self._running):
            self.end(process)

    def open(self):
        """Let the sink take what it is given."""
        (self.directory / "open").touch()

    def lines(self, name):
        try:
            text = (self.directory / name).read_text()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text.splitlines()]

    def offers(self, status, process=None):
        return [
            line
            for line in self.lines("offers")
            if line["status"] == status and process in {None, line["process"]}
        ]

    def wait_for(self, fact):
        end = ticks() + HANG_S
        while not fact():
            assert ticks() < end
            threading.Event().wait(0.05)

    def wait_until_noticed(self, process):
        """Wait until a process has said no after a look at the wall as it is now."""
        since = ticks() + NOTICED_S
        self.wait_for(
            lambda: any(line["tick"] > since for line in self.offers("limited", process.pid))
        )

    def spent(self):
        """Return how many each minute has paid for, by the clock that decided."""
        stored = [line for line in self.lines("deliveries") if line["what"] == "stored"]
        return Counter(int(line["decided_at"] // MINUTE) for line in stored)


def live_through(machine, jumps):
    """Spend the budget, set the clock, and begin a second process, with deliveries in hand."""
    early = machine.begin("early")
    machine.wait_for(lambda: machine.offers("limited"))
    for seconds in jumps:
        machine.set_clock(seconds)
        machine.wait_until_noticed(early)
    late = machine.begin("late")
    machine.wait_until_noticed(late)
    machine.end_all()
    return machine


@pytest.fixture(scope="module")
def lives(children, tmp_path_factory):
    """Return a machine for each case, after it is all over."""
    yard = tmp_path_factory.mktemp("machines")
    machines = [Machine(yard / name.replace(" ", "-"), children) for name in CASES]
    with ThreadPoolExecutor(len(CASES)) as pool:
        jumps = [jumps for jumps, _ in CASES.values()]
        return dict(zip(CASES, pool.map(live_through, machines, jumps), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_the_wall_is_set_for_whoever_reads_it(lives, case):
    jumps, _ = CASES[case]
    told = [sum(jumps[:count]) for count in range(len(jumps) + 1)]
    offsets = [line["wall"] - line["tick"] for line in lives[case].lines("offers")]

    assert round(max(offsets) - min(offsets), -1) == round(max(told) - min(told), -1)


@pytest.mark.parametrize("case", CASES)
def test_no_minute_pays_for_more_than_its_budget(lives, case):
    machine, (_, expected) = lives[case], CASES[case]
    by_decision = machine.spent()
    by_wall = Counter(line["asked_at"] // MINUTE for line in machine.offers("accepted"))
    minutes = {minute - min(by_decision) for minute in by_decision}
    offered = [line["tick"] for line in machine.lines("offers")]
    passed = int((max(offered) - min(offered) + PHASE_S) // MINUTE)  # 0 but on a slow machine

    assert max(by_decision.values()) == LIMIT
    assert max(by_wall.values()) == LIMIT
    assert expected <= minutes <= {one + n for one in expected for n in range(passed + 1)}


@pytest.mark.parametrize("case", CASES)
def test_what_was_in_hand_or_had_failed_is_delivered_once_and_soon(lives, case):
    machine = lives[case]
    deliveries = machine.lines("deliveries")
    by_what = {
        what: Counter(line["frame"] for line in deliveries if line["what"] == what)
        for what in ("failed", "begun", "stored")
    }
    accepted = Counter(line["frame"] for line in machine.offers("accepted"))

    assert by_what["failed"]
    assert by_what["begun"] == by_what["stored"] == accepted
    assert set(accepted.values()) == {1}
    assert machine.reports == [{"pending": 0, "dead": 0}] * 2


def test_a_walk_of_the_wall_costs_no_datapoint_and_no_budget(children, tmp_path, size, seed):
    rng, machine = random.Random(seed), Machine(tmp_path / "machine", children)
    machine.open()
    running, base = [machine.begin("0"), machine.begin("1")], machine.away_s
    machine.wait_for(lambda: len({line["process"] for line in machine.lines("offers")}) == 2)
    end, number = ticks() + size.pick(ci=2.0, full=60.0, soak=1800.0), 2
    longest_s = size.pick(ci=0.6, full=3.0, soak=2 * BELIEVE_AFTER_S)
    while ticks() < end:
        # Within two days in all: what is further ahead was written by a clock that was wrong.
        possible = [step for step in STEPS if -HOUR <= machine.away_s + step - base <= DAY + HOUR]
        machine.set_clock(rng.choice(possible))
        threading.Event().wait(rng.uniform(0.0, longest_s))
        if rng.random() < 0.2:
            machine.end(running.pop(rng.randrange(2)))
            running.append(machine.begin(str(number)))
            number += 1
    machine.end_all()
    stored = [line["frame"] for line in machine.lines("deliveries") if line["what"] == "stored"]

    assert max(machine.spent().values()) == LIMIT
    assert sorted(stored) == sorted(line["frame"] for line in machine.offers("accepted"))
    assert machine.reports == [{"pending": 0, "dead": 0}] * number
