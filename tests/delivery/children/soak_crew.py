"""A small factory for as long as it takes: collectors that share a spool, and what befalls them.

Processes offer pictures at a steady rate to one server, which comes and goes. All but the first are
killed now and then; Redis, which keeps the budget, is killed and started; the wall clock is set
back and forth for all of them. At last there is peace, and what is left must arrive. Usage:
soak_crew.py DIRECTORY SEED PLAN, the plan as JSON; prints a JSON report.
"""

import base64
import importlib.util
import json
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

from judge import leftovers, query, read_log
from offers import make_spool
from soak_receiver import make_receiver

from al_framework.pipeline.clock import ticks
from al_framework.pipeline.limits.base import PERIOD_SECONDS
from al_framework.pipeline.limits.redis_scripts import BOOKS

HERE = Path(__file__).parent
REDIS = HERE.parents[1] / "pipeline" / "limits" / "redis_server.py"
MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
JUMPS_S = (1.0, -1.0, 3600.0, -3600.0, 86400.0, -86400.0, 90.0, -90.0)
REDIS_AWAY_S = (0.2, 2.0)
TICK_S = 0.1
HANG_S = 900.0


class Crew:
    """The processes: the first lives to the end, the others are killed and started again."""

    def __init__(self, directory, count):
        self._directory = directory
        self._running = {}
        self._generations = Counter()
        self.lives = {}
        self.kills = 0
        self.ended_by_themselves = []
        for number in range(count):
            self.start(f"w{number}")

    @property
    def elder(self):
        return "w0.1"

    def start(self, role):
        self._generations[role] += 1
        name = self._name(role)
        command = [sys.executable, str(HERE / "soak_worker.py"), str(self._directory), name]
        errors = (self._directory / f"{name}.err").open("wb")
        with errors:
            self._running[role] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors
            )
        self.lives[name] = [ticks(), None]

    def is_at_work(self):
        """Tell whether each of them has begun to offer pictures."""
        return all(
            (self._directory / f"{self._name(role)}.samples").exists() for role in self._running
        )

    def await_work(self):
        deadline = ticks() + HANG_S
        while not self.is_at_work():
            assert ticks() < deadline, "the processes do not come to work"
            time.sleep(TICK_S)

    def kill(self, rng):
        """Kill one of the younger ones, if all are at work, and start it again."""
        if not self.is_at_work():
            return False
        role = rng.choice(sorted(self._running)[1:])
        process = self._end(role)
        process.kill()
        process.wait(HANG_S)
        self.kills += 1
        self.start(role)
        return True

    def look(self):
        for role, process in list(self._running.items()):
            if process.poll() is not None:
                self.ended_by_themselves.append(f"{role}: {process.returncode}")
                self._end(role)

    def tell(self, number):
        for process in self._running.values():
            process.send_signal(number)

    def close(self):
        """Ask them to close, and return how each of them ended."""
        self.tell(signal.SIGTERM)
        codes = {}
        for role in list(self._running):
            codes[self._name(role)] = self._end(role).wait(HANG_S)
        return codes

    def kill_all(self):
        for process in self._running.values():
            process.kill()
            process.wait()

    def _end(self, role):
        self.lives[self._name(role)][1] = ticks()
        return self._running.pop(role)

    def _name(self, role):
        return f"{role}.{self._generations[role]}"


class WallClock:
    """The file that all the processes have their wall clock from."""

    def __init__(self, path):
        self._path = path
        self.set(0.0)
        self.jumps = 0

    def set(self, offset_s):
        with self._path.open("r+b" if self._path.exists() else "wb") as file:
            file.write(struct.pack("d", offset_s))

    def jump(self, rng):
        self.set(rng.choice(JUMPS_S))
        self.jumps += 1


def start_redis(stack):
    """Start a server that has every credit on disk before it answers; None without the program."""
    spec = importlib.util.spec_from_file_location("redis_server_for_soak", REDIS)
    servers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(servers)
    if servers.BINARY is None or importlib.util.find_spec("redis") is None:
        return None
    # A disk that others write to makes it answer so late that it counts as away.
    memory = MEMORY if MEMORY.is_dir() else None
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory)))
    server = servers.RedisServer(directory, "--appendfsync", "always")
    stack.callback(server.kill)
    return server


class Course:
    """What happens when.

    Args:
        events: By name, how many seconds lie between two of them, and what to do; where that
            returns False, it was not yet the moment.
    """

    def __init__(self, events):
        self._events = events
        self._due = {name: ticks() + every_s for name, (every_s, _) in events.items()}

    def step(self):
        for name, (every_s, happen) in self._events.items():
            if ticks() >= self._due[name] and happen() is not False:
                self._due[name] = ticks() + every_s


def run(directory, seed, plan, report):
    """Let it all happen, then let it come to rest."""
    rng = random.Random(seed)
    spool = directory / "spool"
    with ExitStack() as stack:
        receiver = make_receiver(directory / "received", seed, plan["pace"])
        stack.enter_context(receiver.server)
        redis = start_redis(stack)
        limits = {"ledger": "sqlite"}
        if redis is not None:
            limits = {"ledger": "redis", "redis_url": redis.url}
        secret = base64.b64encode(rng.randbytes(32)).decode()
        told = {**plan, "url": receiver.server.url, "limits": limits, "secret": secret}
        (directory / "plan.json").write_text(json.dumps(told))
        wall = WallClock(directory / "clock")
        crew = Crew(directory, plan["processes"])
        stack.callback(crew.kill_all)
        crew.await_work()
        report["redis restarts"] = 0

        def restart_redis():
            if redis is not None:
                redis.kill()
                time.sleep(rng.uniform(*REDIS_AWAY_S))
                redis.start()
                report["redis restarts"] += 1

        course = Course(
            {
                "kill": (plan["kill_every_s"], lambda: crew.kill(rng)),
                "redis": (plan["redis_every_s"], restart_redis),
                "jump": (plan["jump_every_s"], lambda: wall.jump(rng)),
            }
        )
        sizes = Counter()
        began = ticks()
        while ticks() < began + plan["lasts_s"]:
            course.step()
            crew.look()
            measure(spool, sizes)
            time.sleep(TICK_S)
        receiver.calm_down()
        report["calm at"] = ticks()
        crew.await_work()  # else it knows no signals yet
        crew.tell(signal.SIGUSR1)
        await_rest(spool, sizes, report)
        report["rested after s"] = round(ticks() - report["calm at"], 1)
        crew.look()
        report["ends"] = crew.close()
        report |= {
            "kills": crew.kills,
            "jumps": wall.jumps,
            "ended by themselves": crew.ended_by_themselves,
            "requests": dict(receiver.seen),
            "sizes": dict(sizes),
            "ledger": limits["ledger"],
        }
        report["most in a minute"] = most_in_a_minute(redis, spool)
        return crew


def measure(spool, sizes):
    """Keep the largest sizes of index and log."""
    for name in ("spool.db", "spool.db-wal"):
        try:
            size = (spool / name).stat().st_size
        except FileNotFoundError:
            continue
        sizes[name] = max(sizes[name], size)


def await_rest(spool, sizes, report):
    """Wait until nothing is pending."""
    deadline = ticks() + HANG_S
    while ticks() < deadline:
        measure(spool, sizes)
        if not query(spool, "SELECT count(*) FROM delivery WHERE state = 0")[0][0]:
            return
        time.sleep(TICK_S)
    report["hangs"] = query(spool, "SELECT attempts, error FROM delivery WHERE state = 0")[:5]


def most_in_a_minute(redis, spool):
    """Return the most credits that any window of a minute has seen."""
    if redis is None:
        rows = query(spool, "SELECT max(used) FROM limit_window WHERE period = 'minutely'")
        return rows[0][0] or 0
    with closing(redis.client()) as client:
        held = [
            int(at // 1000 // PERIOD_SECONDS["minutely"])
            for book in client.smembers(BOOKS)
            for _, at in client.zrange(book, 0, -1, withscores=True)
        ]
    return max(Counter(held).values(), default=0)


def judge(directory, report):
    """Compare what was reported as accepted with what arrived."""
    acks = [line.split() for line in (directory / "acks").read_text().splitlines()]
    lines = read_log(directory / "received")
    arrived = {line["frame_id"]: line for line in lines if line["new"]}
    frames = Counter(line["frame_id"] for line in lines if line["new"])
    lost = [frame for frame, *_ in acks if frame not in arrived]
    known = {frame: digest for frame, digest, _ in acks}
    report["accepted"] = len(acks)
    report["arrived"] = len(arrived)
    report["repeated"] = sum(not line["new"] for line in lines)
    wrong = {
        "lost": lost,
        "acknowledged twice": [name for name, n in Counter(a[0] for a in acks).items() if n > 1],
        "stored twice": [frame for frame, count in frames.items() if count > 1],
        "altered": [
            frame
            for frame, line in arrived.items()
            if line["digest"] != known.get(frame, line["digest"])
        ],
        "never offered": [frame for frame in arrived if not frame.startswith("w")],
        **leftovers(directory / "spool"),
    }
    report["verdict"] = {what: found[:5] for what, found in wrong.items() if found}
    lags = sorted(arrived[frame]["at"] - float(at) for frame, _, at in acks if frame in arrived)
    report["lag s"] = {
        name: round(lags[min(len(lags) - 1, int(len(lags) * share))], 2)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    }


def slope(points):
    """Return by how much y grows for each x, by least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum(
        (x - mean_x) ** 2 for x, _ in points
    )


def middle(values):
    return sorted(values)[len(values) // 2]


def judge_elder(directory, name, calm_at, report):
    """Tell how the process grew that lived from beginning to end."""
    samples = [line for line in read_log(directory / f"{name}.samples") if line["at"] < calm_at]
    # The first share is what is loaded once.
    samples = samples[max(1, len(samples) // 10) :]
    early, late = samples[: len(samples) // 3], samples[-(len(samples) // 3) :]
    report["samples"] = len(samples)
    for what in ("rss", "traced", "fds", "threads"):
        per_s = slope([(line["at"], line[what]) for line in samples])
        report[what] = {
            "per hour": round(per_s * 3600, 1),
            "early": middle([line[what] for line in early]),
            "late": middle([line[what] for line in late]),
            "most": max(line[what] for line in samples),
        }


def judge_words(directory, crew, report):
    """Tell what the processes have said and counted."""
    said = {}
    for name, (began, ended) in crew.lives.items():
        path = directory / f"{name}.log"
        count = len(path.read_bytes().splitlines()) if path.exists() else 0
        said[name] = [count, round((ended or ticks()) - began, 1)]
    report["lines of log, in s"] = said
    report["largest log"] = max(
        (path.stat().st_size for path in directory.glob("*.log")), default=0
    )
    report["uncaught"] = [
        error.read_text()[-2000:] for error in directory.glob("*.err") if error.stat().st_size
    ]
    report["tracebacks"] = [
        path.name for path in directory.glob("*.log") if "Traceback" in path.read_text()
    ]
    off = []
    for path in directory.glob("*.end"):
        counts = json.loads(path.read_text())
        ends = sum(counts[name] for name in ("not_selected", "limited", "accepted", "queued"))
        sinks = [
            sink["accepted"] + sink["recovered"]
            == sink["delivered"] + sink["pending"] + sink["dead"] + sink["evicted"]
            for sink in counts["sinks"].values()
        ]
        report[path.name] = counts
        if counts["offered"] != ends + sum(counts["dropped"].values()) or not all(sinks):
            off.append(path.name)
    report["do not add up"] = off


def main(directory, seed, plan):
    """Run, then judge."""
    directory, report = Path(directory), {}
    crew = run(directory, int(seed), json.loads(plan), report)
    with make_spool(directory / "spool") as spool:
        collected = (
            spool.gc()
        )  # a kill between a commit and the removal of the file leaves the file
        report["collected files"] = collected.files
    hour = time.strftime("%Y%m%d%H", time.gmtime())
    report["hours left"] = sorted(
        path.name for path in (directory / "spool" / "obj").iterdir() if path.name != hour
    )
    report["in the spool"] = sorted(path.name for path in (directory / "spool").iterdir())
    report["lives left"] = query(directory / "spool", "SELECT count(*) FROM life")[0][0]
    judge(directory, report)
    judge_elder(directory, crew.elder, report["calm at"], report)
    judge_words(directory, crew, report)
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
