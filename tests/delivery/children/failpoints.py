"""A tour through all that a spool does, which ends at a named point; then recoveries, and a judge.

Usage: failpoints.py DIRECTORY CASE...; a case is ``point:hits`` or ``point:hits:second point``: the
first recovery dies as well, at the second point, or at the same one again. Every tour and every
recovery is a process of its own, forked from this one, which never opens a spool. Prints a JSON
report for each case, one a line.
"""

import json
import os
import sys
import time
from pathlib import Path

from judge import leftovers, query, verdict
from logged_sink import LoggedSink
from offers import SINK, AckLog, Dies, accept, make_spool

from al_framework.api import PermanentSinkError
from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.delivery import Delivery
from al_framework.pipeline.spool import SpoolLimits

IMAGE_BYTES = 2000
KILLED = 137
HANG_S = 60.0
LIMITS = SpoolLimits(min_free_bytes=0, ballast_bytes=4096)
NO_LETTERS = SpoolLimits(min_free_bytes=0, dead_max_bytes=0)
FULL_AT_4 = SpoolLimits(min_free_bytes=0, max_items=4, when_full="drop_oldest")


class Tour:
    """Everything that a spool does, in one process."""

    def __init__(self, directory, dies):
        self._directory = directory
        self._spool_directory = directory / "spool"
        self._dies = dies
        self._log = AckLog(directory / "acks")
        self._evictable = AckLog(directory / "evictable")
        self._sink = LoggedSink(directory / "remote.log")

    def run(self):
        self._make_room()
        self._come_and_go()
        self._give_up()
        for number in range(2):
            self._leave_strangers(number)
            self._destroy_the_index()

    def recover(self):
        with self._open(LIMITS) as spool:
            delivery = self._delivery(spool, self._sink)
            deadline = time.monotonic() + HANG_S
            while time.monotonic() < deadline:
                if not delivery.step() and not self._is_pending():
                    break
            spool.dead.retry()
            while delivery.step():
                pass
            delivery.close(1.0)
            spool.gc()

    def _open(self, limits):
        return make_spool(self._spool_directory, limits=limits, failpoint=self._dies)

    def _delivery(self, spool, sink):
        return Delivery(spool, {SINK: sink}, clock=SystemClock())

    def _is_pending(self):
        return query(self._spool_directory, "SELECT count(*) FROM delivery WHERE state = 0")[0][0]

    def _make_room(self):
        """Datapoints go to make room for others, as the operator has asked for."""
        with self._open(FULL_AT_4) as spool:
            for number in range(4):
                accept(spool, self._evictable, [f"old-{number}"], IMAGE_BYTES)
            for number in range(3):
                accept(spool, self._log, [f"new-{number}"], IMAGE_BYTES)
            delivery = self._delivery(spool, self._sink)
            delivery.step()
            spool.deliveries.take(SINK)  # what a sink that hangs has in hand
            delivery.close(1.0)

    def _come_and_go(self):
        """Groups come in; some are delivered, one is given up and tried again."""
        with self._open(LIMITS) as spool:
            for number in range(3):
                accept(spool, self._log, [f"group-{number}-{i}" for i in range(3)], IMAGE_BYTES)
            accept(spool, self._log, ["bad"], IMAGE_BYTES)
            delivery = self._delivery(spool, self._refuse_the_bad)
            for _ in range(4):
                delivery.step()
            while delivery.step() and not spool.dead.list():
                pass
            accept(spool, self._log, [f"late-{i}" for i in range(8)], IMAGE_BYTES)
            spool.dead.retry()
            spool.deliveries.take(SINK)
            delivery.close(1.0)

    def _give_up(self):
        """Dead letters are tried again for nothing, dropped, and too many; nobody owes them."""
        with self._open(NO_LETTERS) as spool:
            delivery = self._delivery(spool, self._refuse_letters)
            for number in range(4):
                accept(spool, self._evictable, [f"letter-{number}"], IMAGE_BYTES)
            while delivery.step():
                pass
            spool.dead.retry(item_ids=["item-letter-0"])
            while delivery.step():
                pass
            spool.dead.drop(item_ids=["item-letter-1"])
            spool.dead.prune()
            delivery.close(1.0)

    def _refuse_letters(self, datapoint, checkpoint):
        if datapoint.item_id.startswith("item-letter-"):
            raise PermanentSinkError("sink 'remote': no letters")
        return self._sink(datapoint, checkpoint)

    def _refuse_the_bad(self, datapoint, checkpoint):
        if datapoint.item_id == "item-bad":
            raise PermanentSinkError("sink 'remote': bad")
        return self._sink(datapoint, checkpoint)

    def _leave_strangers(self, number):
        """Old files that no row refers to, as a process killed before its commit leaves them."""
        for hour in ("2001010100", "2001010101"):
            stranger = self._spool_directory / "obj" / hour / f"{number}-1-1.als"
            stranger.parent.mkdir(mode=0o700, exist_ok=True)
            stranger.write_bytes(b"half a picture")
            os.utime(stranger, (0, 0))
        with self._open(LIMITS) as spool:
            spool.sweep_step()
            spool.gc()

    def _destroy_the_index(self):
        """The index is lost, and built anew."""
        (self._spool_directory / "spool.db").write_bytes(b"no database" * 1000)
        with self._open(LIMITS) as spool:
            delivery = self._delivery(spool, self._sink)
            for _ in range(3):
                delivery.step()
            delivery.close(1.0)


def in_a_fork(work):
    """Run something in a process of its own, and return how that ended."""
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)
    code = 1
    try:
        work()
        code = 0
    except BaseException as exc:  # noqa: BLE001 - it is reported, with its end
        sys.stderr.write(f"{type(exc).__name__}: {exc}\n")
    finally:
        sys.stderr.flush()
        os._exit(code)


def judge(directory):
    code = in_a_fork(lambda: Tour(directory, Dies()).recover())
    wrong = {} if code == 0 else {"recovery ended": [code]}
    offered = set(AckLog.read(directory / "acks")) | set(AckLog.read(directory / "evictable"))
    names = ("old-", "new-", "group-", "bad", "late-", "letter-")
    return {
        **wrong,
        **verdict(
            directory / "acks",
            directory / "remote.log",
            # What was committed, and not logged any more, was offered too.
            is_offered=lambda name: name in offered or name.startswith(names),
            image_bytes=IMAGE_BYTES,
        ),
        **leftovers(directory / "spool"),
    }


def run_case(directory, case):
    directory.mkdir()
    point, hits, again = (*case.split(":"), "")[:3]
    report = {"case": case}
    report["tour"] = in_a_fork(Tour(directory, Dies(point, int(hits))).run)
    report["accepted"] = len(AckLog.read(directory / "acks"))
    report["killed again"] = in_a_fork(Tour(directory, Dies(again or point)).recover)
    report["verdict"] = judge(directory)
    report["verdict of a second recovery"] = judge(directory)
    return report


def main(directory, *cases):
    for number, case in enumerate(cases):
        report = run_case(Path(directory) / str(number), case)
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
