"""The power fails at every moment of a scenario; what the disk may then hold is opened again.

Usage: power_loss.py DIRECTORY SEED MUTATION SCENARIO; prints a JSON report. The scenario runs, and
is recorded, in a fork of its own, so that for the judge its process is gone.
"""

import contextlib
import json
import os
import random
import shutil
import sys
from hashlib import sha256
from pathlib import Path

from disk_model import Disk, Recorder, is_ours, survivors_at_every_step
from offers import SINK, candidate, datapoint_of, image_digest, make_spool, words_of

from al_framework.api import PermanentSinkError, Receipt, SpoolError, TransientSinkError
from al_framework.pipeline.delivery import Delivery
from al_framework.pipeline.spool import SpoolLimits
from al_framework.testing.fakes import FakeClock

IMAGE_BYTES = 600
HOUR_S = 3600.0
ENOUGH = 20  # violations; a mutation is noticed, and need not be counted out
DECIDED_AT = 1_700_000_000.0


class Scene:
    """A spool, a delivery and a sink, whose every promise is noted."""

    def __init__(self, root, recorder):
        self.recorder = recorder
        self.clock = FakeClock(DECIDED_AT)
        self.directory = root / "spool"
        self.sinks = (SINK,)
        self.failures = {}
        self.spool = None
        self._promised = []
        recorder.before_commit = self._promise_too_early

    def open(self, **options):
        self.spool = make_spool(self.directory, sinks=self.sinks, clock=self.clock, **options)
        self.spool.open()
        self.delivery = Delivery(
            self.spool,
            {sink: self._sink(sink) for sink in self.sinks},
            clock=self.clock,
            rng=random.Random(1),
        )

    def close(self):
        self.delivery.close(5.0)
        self.spool.close()

    def accept(self, *names):
        if self.recorder.mutation == "acknowledged before the commit":
            self._promised = list(names)
        group = [candidate(name, IMAGE_BYTES, self.clock.time()) for name in names]
        answers = self.spool.accept(group)
        assert [one.status for one in answers] == ["accepted"] * len(names)
        self.recorder.note("ack", *names)

    def deliver(self, count=1_000):
        while count and self.delivery.step():
            count -= 1

    def pass_time(self, seconds=HOUR_S):
        self.clock.advance(seconds)

    def _promise_too_early(self):
        if self._promised:
            self.recorder.note("ack", *self._promised)
            self._promised = []

    def _sink(self, sink):
        def deliver(datapoint, checkpoint):
            name = datapoint.item_id.removeprefix("item-")
            if error := self.failures.get((sink, name)):
                raise error
            if not checkpoint.state:
                checkpoint.save(remote_id=f"remote-{name}")
            self.recorder.note("delivered", sink, name)
            return Receipt(status="created", remote_id=f"remote-{name}")

        return deliver


def first(scene):
    """The very first datapoints of a new spool."""
    scene.open()
    scene.accept("a")
    scene.accept("b")
    scene.close()


def groups(scene):
    """Groups, over the turn of an hour, some of them delivered."""
    scene.open()
    scene.accept("a", "b", "c")
    scene.deliver(2)
    scene.pass_time()
    scene.accept("d", "e")
    scene.deliver(2)
    scene.accept("f")


def delivery(scene):
    """Everything is delivered, while more comes in."""
    scene.open()
    scene.accept("a", "b")
    scene.deliver(1)
    scene.accept("c", "d")
    scene.deliver()
    scene.pass_time()
    scene.accept("e")
    scene.deliver()
    scene.close()


def restarts(scene):
    """Lives that end properly, and one that does not."""
    scene.open()
    scene.accept("a")
    scene.close()
    scene.open()
    scene.accept("b")
    scene.deliver(1)
    scene.delivery.close(5.0)
    scene.open()  # nobody has closed the one before
    scene.accept("c")
    scene.deliver()
    scene.close()


def two_sinks(scene):
    """A datapoint stays until the last sink has it."""
    scene.sinks = (SINK, "second")
    scene.failures["second", "a"] = TransientSinkError("not now")
    scene.open()
    scene.accept("a", "b")
    scene.deliver()
    scene.failures.clear()
    scene.pass_time()
    scene.accept("c")
    scene.deliver()
    scene.close()


def given_up(scene):
    """Dead letters keep their picture, and their neighbours leave."""
    scene.failures[SINK, "a"] = PermanentSinkError("never")
    scene.open()
    scene.accept("a", "b")
    scene.deliver()
    scene.accept("c")
    scene.failures.clear()
    scene.spool.dead.retry()
    scene.deliver()
    scene.close()


def evicted(scene):
    """The oldest go to make room, as the operator has asked for."""
    scene.open(limits=SpoolLimits(min_free_bytes=0, max_items=3, when_full="drop_oldest"))
    scene.accept("a", "b")
    scene.accept("c")
    scene.recorder.note("released", "a")
    scene.accept("d")
    scene.deliver(1)
    scene.pass_time()
    scene.accept("e")
    scene.recorder.note("released", "c")
    scene.accept("f")
    scene.deliver()
    scene.close()


def damaged_index(scene):
    """The index is destroyed between two lives, and built anew from the files."""
    scene.open()
    scene.accept("a", "b")
    scene.accept("c")
    scene.deliver(1)
    scene.close()
    garbage = bytes(range(256)) * 64
    (scene.directory / "spool.db").write_bytes(garbage)
    scene.recorder.index_is(garbage)
    scene.open()
    scene.pass_time(24 * HOUR_S)  # for the limits, whose open windows count as spent
    scene.accept("d")
    scene.deliver(2)
    scene.close()


def made_up(scene, seed):
    """Anything, in any order."""
    rng, number = random.Random(seed), 0
    scene.open()
    for _ in range(12):
        action = rng.choice(["accept", "accept", "deliver", "deliver", "wait", "restart", "crash"])
        if action == "accept":
            count = rng.randint(1, 4)
            scene.accept(*(f"n{number + i}" for i in range(count)))
            number += count
        elif action == "deliver":
            scene.deliver(rng.randint(1, 4))
        elif action == "wait":
            scene.pass_time(rng.choice([1.0, HOUR_S]))
        elif action == "restart":
            scene.close()
            scene.open()
        else:
            scene.delivery.close(5.0)
            scene.open()


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (first, groups, delivery, restarts, two_sinks, given_up, evicted, damaged_index)
}


def record(directory, scenario, mutation):
    """Run a scenario on a real disk and write its steps down."""
    root = directory / "real"
    root.mkdir()
    recorder = Recorder(root, directory / "snapshots", mutation)
    recorder.install()
    name, _, seed = scenario.partition(":")
    scene = Scene(root, recorder)
    if seed:
        made_up(scene, seed)
    else:
        # What breaks a mutated run breaks nothing of the record so far.
        with contextlib.suppress(*([] if not mutation else [SpoolError])):
            SCENARIOS[name](scene)
    recorder.save(directory / "steps.json")


def judge(root, promised, delivered, sinks):
    """Open what is left, deliver it, and say what is wrong; twice, since the first may break it."""
    arrived, wrong = {}, []

    def sink_of(sink):
        def deliver(datapoint, checkpoint):
            name = datapoint.item_id.removeprefix("item-")
            expected = datapoint_of(name, IMAGE_BYTES, DECIDED_AT)
            if image_digest(datapoint) != image_digest(expected):
                wrong.append(f"{name}: another picture")
            if sha256(words_of(datapoint)).digest() != sha256(words_of(expected)).digest():
                wrong.append(f"{name}: another prediction")
            arrived.setdefault((sink, name), 0)
            arrived[sink, name] += 1
            return Receipt(status="created")

        return deliver

    clock = FakeClock(DECIDED_AT + 24 * HOUR_S)
    clock.advance(1e6)
    for _ in range(2):
        spool = make_spool(root / "spool", sinks=sinks, clock=clock)
        with spool:
            spool.dead.retry()
            delivery = Delivery(spool, {sink: sink_of(sink) for sink in sinks}, clock=clock)
            while delivery.step():
                pass
            wrong += [f"{dead.item_id}: dead: {dead.reason}" for dead in spool.dead.list()]
            if spool.stats().items:
                wrong.append(f"{spool.stats().items} stay")
            delivery.close(1.0)
            spool.gc()
    wrong += [f"{path.name}: a file is left" for path in (root / "spool").glob("obj/*/*.als")]
    wrong += [f"{one}: twice in one life" for one, count in arrived.items() if count > 1]
    done = delivered | set(arrived)
    wrong += [f"{name}: lost for {sink}" for name in promised for sink in sinks
              if (sink, name) not in done]  # fmt: skip
    return wrong


def check_model(directory, steps):
    """Compare the replayed disk with the real one: a step that went unseen would be a hole."""
    disk = Disk(directory / "snapshots")
    for step in steps:
        disk.apply(step)
    root = directory / "real"
    real = {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and is_ours(path.name)
    }
    return [] if real == disk.files() else sorted(real.keys() ^ disk.files().keys()) or ["contents"]


def main(directory, seed, mutation, scenario):
    """Record one scenario, and judge all that it may leave."""
    directory = Path(directory)
    (directory / "snapshots").mkdir(parents=True)
    child = os.fork()
    if child == 0:
        record(directory, scenario, mutation)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    steps = Recorder.load(directory / "steps.json")
    sinks = (SINK, "second") if scenario == "two_sinks" else (SINK,)
    states, violations = 0, {}
    for moment, disk, state in survivors_at_every_step(steps, directory / "snapshots", int(seed)):
        before = steps[:moment]
        promised = {name for step in before if step[0] == "ack" for name in step[1:]}
        promised -= {name for step in before if step[0] == "released" for name in step[1:]}
        delivered = {tuple(step[1:]) for step in before if step[0] == "delivered"}
        root = directory / "state"
        disk.build(state, root)
        try:
            wrong = judge(root, promised, delivered, sinks)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is a violation
            wrong = [f"{type(exc).__name__}: {exc}"]
        shutil.rmtree(root)
        states += 1
        if mutation and len(violations) >= ENOUGH:
            break
        if wrong:
            violations[f"state {states} after {steps[moment - 1][:2]}"] = wrong
    report = {
        "status": os.waitstatus_to_exitcode(status),
        "unseen": [] if mutation else check_model(directory, steps),
        "steps": len(steps),
        "states": states,
        "violations": len(violations),
        "examples": dict(list(violations.items())[:5]),
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
