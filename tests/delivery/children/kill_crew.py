"""Two writers, a leader and a standby, killed at random moments; then one process that drains.

Everything is imported here once and the roles are forks, so that a kill hits work and not imports.
This process itself never opens the spool. Usage: kill_crew.py DIRECTORY PORT SEED KILLS; prints
a JSON report.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from judge import broken_rows, group_files, leftovers, query, verdict
from offers import SINK, AckLog, accept, make_ledger, make_spool
from remote import RemoteSink

from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.delivery import Delivery

IMAGE_BYTES = 200_000
FAULTS = 0.05
BETWEEN_KILLS_S = (0.15, 0.7)
GROUP = (1, 4)
PAUSE_S = 0.05
BACKLOG = 150
DRAIN_HANG_S = 300.0
FRESH_HANG_S = 50.0
ROLES = ("writer-0", "writer-1", "deliverer-0", "deliverer-1")


def write(directory, role, generation, seed):
    """Offer groups for ever; slow down while the deliverers are behind."""
    rng = random.Random(f"{seed}/{role}/{generation}")
    spool, log = make_spool(directory / "spool"), AckLog(directory / "acks")
    spool.open()
    number = 0
    while True:
        group = [f"{role}.{generation}.{number + i}" for i in range(rng.randint(*GROUP))]
        number += len(group)
        accept(spool, log, group, IMAGE_BYTES)
        while spool.stats().items > BACKLOG:
            time.sleep(PAUSE_S)
        time.sleep(rng.uniform(0, 2 * PAUSE_S))


def deliver(directory, port):
    """Deliver for ever, or stand by."""
    spool = make_spool(directory / "spool")
    spool.open()
    Delivery(spool, {SINK: RemoteSink(port)}, clock=SystemClock(), poll_s=0.02).start()
    threading.Event().wait()


def fork(work, *arguments):
    """Run a role in a process of its own."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work(*arguments)
    except BaseException as exc:  # a role that ends by itself is a finding
        sys.stderr.write(f"{work.__name__}{arguments[1:]} ended: {type(exc).__name__}: {exc}\n")
        raise
    finally:
        sys.stderr.flush()
        os._exit(1)


class Crew:
    """The four roles: started, killed and started again."""

    def __init__(self, directory, port, seed):
        self._directory, self._port, self._seed = directory, port, seed
        self._rng = random.Random(seed)
        self._generations = dict.fromkeys(ROLES, 0)
        self._pids = {}
        self.kills = dict.fromkeys(ROLES, 0)
        self.ended_by_themselves = []

    def start(self, role):
        self._generations[role] += 1
        if role.startswith("writer"):
            work = (write, self._directory, role, self._generations[role], self._seed)
        else:
            work = (deliver, self._directory, self._port)
        self._pids[role] = fork(*work)

    def kill(self, role):
        pid = self._pids.pop(role)
        ended, _ = os.waitpid(pid, os.WNOHANG)
        if ended:
            self.ended_by_themselves.append(role)
            return
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.kills[role] += 1

    def run(self, kills):
        for role in ROLES:
            self.start(role)
        while sum(self.kills.values()) < kills and not self.ended_by_themselves:
            time.sleep(self._rng.uniform(*BETWEEN_KILLS_S))
            # Now and then all of them at once, as when a container is taken away.
            victims = ROLES if self._rng.random() < 0.05 else (self._rng.choice(ROLES),)
            for role in victims:
                self.kill(role)
            for role in victims:
                self.start(role)
        for role in list(self._pids):
            self.kill(role)


def drain(directory, port, report):
    """Deliver all that is left, and one fresh datapoint; then judge."""
    sink = RemoteSink(port)
    sink.set_faults(0.0)
    ledger = make_ledger()
    spool = make_spool(directory / "spool", ledger=ledger)
    log = AckLog(directory / "acks")
    with spool:
        delivery = Delivery(spool, {SINK: sink}, clock=SystemClock(), poll_s=0.02)
        delivery.start()
        report["recovered"] = spool.counts()[SINK].recovered
        wait_for_end(spool, report)
        started = time.monotonic()
        accept(spool, log, ["fresh"], IMAGE_BYTES)
        report["fresh delivered"] = delivery.drain(FRESH_HANG_S)
        report["fresh after s"] = round(time.monotonic() - started, 3)
        counts = spool.counts()[SINK]
        report["adds up"] = (
            counts.accepted + counts.recovered
            == counts.delivered + counts.pending + counts.dead + counts.evicted
        )
        report["credits"] = ledger.used("a", SystemClock().time())["daily"]
        delivery.close(5.0)
    with make_spool(directory / "spool") as spool:
        spool.gc()  # a kill between a commit and the removal of the file leaves the file


def wait_for_end(spool, report):
    """Wait until nothing is pending; what died of too many kills is put back, as a person would."""
    deadline = time.monotonic() + DRAIN_HANG_S
    directory = spool.directory
    report["given up"] = 0
    while time.monotonic() < deadline:
        pending = query(directory, "SELECT count(*) FROM delivery WHERE state = 0")[0][0]
        dead = query(directory, "SELECT result FROM delivery WHERE state = 2")
        if dead and not all("crash: " in reason for (reason,) in dead):
            report["dead"] = [reason for (reason,) in dead]
            return
        if dead:
            report["given up"] += len(dead)
            spool.dead.retry()
        elif not pending:
            return
        time.sleep(PAUSE_S)
    report["hangs"] = True


def main(directory, port, seed, kills):
    """Kill, drain, judge."""
    directory = Path(directory)
    RemoteSink(port).set_faults(FAULTS)
    crew = Crew(directory, port, seed)
    crew.run(int(kills))
    report = {"kills": crew.kills, "ended by themselves": crew.ended_by_themselves}
    report["broken rows"] = broken_rows(directory / "spool")
    report["files without row"] = len(
        {f"{path.parent.name}/{path.name}" for path in group_files(directory / "spool")}
        - {row[0] for row in query(directory / "spool", "SELECT DISTINCT file FROM item")}
    )
    drain(directory, port, report)
    report["accepted"] = len(AckLog.read(directory / "acks"))
    report["indexes set aside"] = len(list((directory / "spool").glob("*.corrupt-*")))
    report["verdict"] = {
        **verdict(
            directory / "acks",
            directory / "remote.log",
            is_offered=lambda name: name == "fresh" or name.split(".")[0] in ROLES,
            image_bytes=IMAGE_BYTES,
        ),
        **leftovers(directory / "spool"),
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
