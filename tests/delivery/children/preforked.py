"""A server that loads everything and then forks its workers, some of which are killed.

The master builds a collector and forks while its threads are busy; whichever process delivers is
killed, one after the other, the master first if it is the one. Usage: preforked.py DIRECTORY PORT
SEED; prints a JSON report.
"""

import faulthandler
import json
import os
import random
import select
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from collecting import collector
from judge import leftovers, read_log
from offers import AckLog, make_spool
from remote import RemoteSink

from al_framework.api import Sink
from al_framework.testing import sample_jpeg

WORKERS, KILLS, FRAMES = 8, 3, 5
ACCEPT_HANG_S = 20.0  # for what takes well below a second
HANG_S = 60.0
TICK_S = 0.01


def make_collector(directory, port):
    """Return one whose sink delivers to a `remote.Remote`."""

    class ToRemote(Sink):
        """Knows datapoints by the names of their frames, which are the judge's."""

        type_name = "to_remote"

        def deliver(self, datapoint, checkpoint):
            return RemoteSink(port).by_frame(datapoint, checkpoint)

    return collector(directory / "spool", ToRemote, sink="to_remote")


def serve(collects, commands, answers, log):
    """Do as told, line by line, until told to close."""
    with os.fdopen(commands) as lines:
        for line in lines:
            tag, _, count = line.strip().partition(" ")
            if tag == "close":
                collects.close()
                os.write(answers, b"closed\n")
                os._exit(0)
            for number in range(int(count)):
                name = f"{tag}.{os.getpid()}.{number}"
                ticket = collects.submit(
                    sample_jpeg(seed=number), frame_id=name, wait_accepted_s=ACCEPT_HANG_S
                )
                if ticket.status == "accepted":
                    log.add([name])
            os.write(answers, b"done\n")


def be_master(directory, port, pipes, answers):
    """Load everything, fork the workers while all threads are busy, and work like them."""
    log, collects = AckLog(directory / "acks"), make_collector(directory, port)
    for number in range(20):
        collects.submit(sample_jpeg(seed=number), frame_id=f"before.{os.getpid()}.{number}")
    for commands, _ in pipes[1:]:
        if os.fork() == 0:
            os.write(answers, f"pid {os.getpid()} {commands}\n".encode())
            serve(collects, commands, answers, log)
    os.write(answers, f"pid {os.getpid()} {pipes[0][0]}\n".encode())
    serve(collects, pipes[0][0], answers, log)


class Crew:
    """Master and workers, seen from outside."""

    def __init__(self, directory, port):
        self._log = directory / "remote.log"
        self._acks = directory / "acks"
        self._answers, write_end = os.pipe()
        pipes = [os.pipe() for _ in range(1 + WORKERS)]
        self.master = os.fork()
        if self.master == 0:
            for _, commands in pipes:
                os.close(commands)
            be_master(directory, port, pipes, write_end)
        self._buffer = b""
        self._commands = {}
        ends = dict(pipes)
        for _ in pipes:
            _, pid, read_end = self._answer().split()
            self._commands[int(pid)] = ends[int(read_end)]

    def tell_all(self, line):
        for commands in self._commands.values():
            os.write(commands, f"{line}\n".encode())
        return [self._answer() for _ in self._commands]

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)
        if pid == self.master:
            os.waitpid(pid, 0)
        os.close(self._commands.pop(pid))

    def end(self, how):
        """Signal whatever still runs."""
        for pid in self._commands:
            with suppress(ProcessLookupError):
                os.kill(pid, how)

    def wait_for_all(self):
        """Wait until the remote has annotated all that was accepted."""
        deadline = time.monotonic() + HANG_S
        while time.monotonic() < deadline:
            there = {line["item_id"] for line in self._lines() if line["op"] == "annotation"}
            if {f"item-{name}" for name in AckLog.read(self._acks)} <= there:
                return True
            time.sleep(TICK_S)
        return False

    def deliverers(self, tag):
        """Return the processes that have delivered what was submitted under that tag."""
        return sorted(
            {line["pid"] for line in self._lines() if line["item_id"].startswith(f"item-{tag}.")}
        )

    def _lines(self):
        return read_log(self._log)

    def _answer(self):
        deadline = time.monotonic() + HANG_S
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], deadline - time.monotonic())
            if not ready:
                raise TimeoutError("a process does not answer any more")
            self._buffer += os.read(self._answers, 4096)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()


def main(directory, port, seed):
    """Run the crew, and let none of it outlive this."""
    faulthandler.register(signal.SIGUSR1)  # for whoever hangs: where
    directory = Path(directory)
    crew = Crew(directory, port)
    try:
        report = run(crew, random.Random(seed), directory)
    except TimeoutError:
        crew.end(signal.SIGUSR1)
        time.sleep(1)
        raise
    finally:
        crew.end(signal.SIGKILL)
    sys.stdout.write(json.dumps(report) + "\n")


def run(crew, rng, directory):
    """Submit everywhere, kill whoever delivers, and again."""
    report = {"phases": []}
    for phase in range(KILLS + 1):
        answers = crew.tell_all(f"phase{phase} {FRAMES}")
        report["phases"].append(
            {
                "answered": len(answers),
                "arrived": crew.wait_for_all(),
                "deliverers": crew.deliverers(f"phase{phase}"),
            }
        )
        if phase < KILLS:
            crew.kill(rng.choice(report["phases"][-1]["deliverers"]))
    report["closed"] = crew.tell_all("close")
    lines = read_log(directory / "remote.log")
    names = AckLog.read(directory / "acks")
    for op in ("image", "annotation"):
        created = Counter(line["item_id"] for line in lines if line["op"] == op and line["new"])
        report[f"{op} lost"] = [name for name in names if f"item-{name}" not in created]
        report[f"{op} twice"] = [name for name, count in created.items() if count > 1]
    datapoints = {(line["item_id"], line["datapoint"]) for line in lines}
    report["two datapoints of one frame"] = len(datapoints) - len({one for one, _ in datapoints})
    report["accepted"] = len(names)
    with make_spool(directory / "spool", sinks=("to_remote",)) as spool:
        spool.gc()  # a kill between the commit and the removal of the file leaves the file
    report["left"] = leftovers(directory / "spool")
    return report


if __name__ == "__main__":
    main(*sys.argv[1:])
