"""A spool is damaged in every way that chance finds; then it is opened, delivered and opened again.

Usage: damage.py DIRECTORY SEED FIRST LAST; prints a JSON report for each case, one a line. The
spool to be damaged is left behind by a process that died in the middle of its work: with leases,
checkpoints, dead letters, and commits in the log of its index.
"""

import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path

from failpoints import in_a_fork
from judge import query
from offers import SINK, AckLog, accept, datapoint_of, image_digest, make_spool, words_of

from al_framework.api import PermanentSinkError, Receipt, SpoolError
from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.delivery import Delivery
from al_framework.pipeline.spool import SpoolLimits
from al_framework.pipeline.spool.groupfile import FOOTER, scan_group
from al_framework.pipeline.spool.items import decode_meta

IMAGE_BYTES = 1500
HANG_S = 60
LIMITS = SpoolLimits(min_free_bytes=0)
GROUPS = 8
DELIVERED, DEAD = ("0-0", "1-0"), ("1-1", "2-0")


def leave_behind(directory):
    """Die in the middle of the work; the earlier half of it may be in the index already."""
    spool = make_spool(directory / "spool", limits=LIMITS)
    spool.open()
    log, checkpointed = AckLog(directory / "acks"), directory.name == "checkpointed"
    for number in range(GROUPS):
        accept(spool, log, [f"{number}-{i}" for i in range(1 + number % 3)], IMAGE_BYTES)
        if checkpointed and number == GROUPS // 2:
            spool.deliveries.checkpoint_index()

    def deliver(datapoint, checkpoint):
        name = datapoint.item_id.removeprefix("item-")
        if name in DEAD:
            raise PermanentSinkError("sink 'remote': never")
        checkpoint.save(remote_id="somewhere")
        if name not in DELIVERED:
            os._exit(0)
        return Receipt(status="created")

    delivery = Delivery(spool, {SINK: deliver}, clock=SystemClock())
    while delivery.step():
        pass


class Damage:
    """One way of damaging one spool.

    Attributes:
        kind: What was done, for the report.
        strict: Whether every datapoint whose bytes are intact has to survive.
        refused: Whether the spool may say that it cannot be opened.
    """

    def __init__(self, spool, rng):
        self._spool, self._rng = spool, rng
        self.strict, self.refused = True, False
        self.kind = rng.choice(
            ["picture"] * 6
            + ["index gone", "index cut", "index pages", "index bytes", "shared memory"]
            + ["log gone", "log cut", "foreign", "version", "picture and index"]
            + ["log bytes"] * 4
            + ["log flips and shared memory"] * 2
            + ["log and shared memory"]
        )
        getattr(self, f"_{self.kind.replace(' ', '_')}")()

    def _spoil(self, path, how=("flip", "cut", "blank", "longer"), most=8):
        """Flip, cut, blank or lengthen a file."""
        data = bytearray(path.read_bytes())
        how = self._rng.choice(how)
        if not data or how == "longer":
            data += self._rng.randbytes(self._rng.randint(1, 500))
        elif how == "flip":
            for _ in range(self._rng.randint(1, most)):
                data[self._rng.randrange(len(data))] ^= 1 << self._rng.randrange(8)
        elif how == "cut":
            del data[self._rng.randrange(len(data)) :]
        else:
            start = self._rng.randrange(len(data))
            end = min(len(data), start + self._rng.randint(1, len(data)))
            data[start:end] = bytes(end - start)
        path.write_bytes(data)

    def _picture(self):
        files = sorted(self._spool.glob("obj/*/*.als"))
        for path in self._rng.sample(files, self._rng.randint(1, 3)):
            if self._rng.random() < 0.1:
                path.unlink()
            else:
                self._spoil(path)

    def _picture_and_index(self):
        self._picture()
        self._index_gone()

    def _index_gone(self):
        path, how = self._spool / "spool.db", self._rng.choice(["missing", "empty", "garbage"])
        for suffix in ("-wal", "-shm") if self._rng.random() < 0.5 else ():
            (self._spool / f"spool.db{suffix}").unlink()
        if how == "missing":
            path.unlink()
        else:
            path.write_bytes(b"" if how == "empty" else self._rng.randbytes(20_000))

    def _index_cut(self):
        self.strict = False
        path = self._spool / "spool.db"
        os.truncate(path, self._rng.randrange(path.stat().st_size + 1))

    def _index_pages(self):
        self.strict = False
        path = self._spool / "spool.db"
        data = bytearray(path.read_bytes())
        pages = len(data) // 4096
        for _ in range(self._rng.randint(1, 3) if pages else 0):
            start = 4096 * self._rng.randrange(pages)
            data[start : start + 4096] = self._rng.choice([bytes(4096), self._rng.randbytes(4096)])
        path.write_bytes(data)

    def _index_bytes(self):
        self.strict = False
        self._spoil(self._spool / "spool.db")

    def _log_gone(self):
        (self._spool / "spool.db-wal").unlink()

    def _log_cut(self):
        path = self._spool / "spool.db-wal"
        os.truncate(path, self._rng.randrange(path.stat().st_size + 1))

    def _log_bytes(self):
        self._spoil(self._spool / "spool.db-wal")

    def _log_flips_and_shared_memory(self):
        """What comes later in the log tells that there was more; the last commit was a lease."""
        (self._spool / "spool.db-shm").unlink()
        self._spoil(self._spool / "spool.db-wal", how=("flip",))

    def _log_and_shared_memory(self):
        """Nothing is left that tells whether there was more."""
        self.strict = False
        (self._spool / "spool.db-shm").unlink()
        self._spoil(self._spool / "spool.db-wal", how=("cut", "blank"))

    def _shared_memory(self):
        path = self._spool / "spool.db-shm"
        if self._rng.random() < 0.5:
            path.unlink()
        else:
            self._spoil(path)

    def _foreign(self):
        obj = self._spool / "obj"
        hour = next(obj.iterdir())
        (obj / "notes.txt").write_text("not ours")
        (hour / "notes.txt").write_text("not ours")
        (hour / "0-0-0.als").write_bytes(self._rng.randbytes(300))
        (hour / "directory.als").mkdir()
        (hour / "link.als").symlink_to("/etc/hostname")
        (obj / "elsewhere").symlink_to("/etc")
        (self._spool / "write.lock").write_bytes(b"1234")
        os.mkfifo(hour / "fifo.als")
        if self._rng.random() < 0.5:
            self._index_gone()

    def _version(self):
        self.refused = True
        for name in ("spool.db-wal", "spool.db-shm"):
            (self._spool / name).unlink()
        path = self._spool / "spool.db"
        data = bytearray(path.read_bytes())
        if len(data) >= 100:
            data[60:64] = (99).to_bytes(4, "big")  # PRAGMA user_version
            path.write_bytes(data)
        self.strict = False


def intact(spool, template, rows):
    """Return the names of the datapoints whose bytes are what they were."""
    names = []
    for item_id, file, offset, size in rows:
        old = (template / "obj" / file).read_bytes()[offset : offset + size]
        try:
            new = (spool / "obj" / file).read_bytes()[offset : offset + size]
        except OSError:
            continue
        if new == old:
            names.append(item_id.removeprefix("item-"))
    return names


def on_disk(spool):
    """Return the names of the datapoints that some file holds, whether a row says so or not."""
    names = set()
    for path in [*spool.glob("obj/*/*.als"), *spool.glob("damaged/*")]:
        if path.is_file() and not path.is_symlink():
            for _, meta in scan_group(path.read_bytes()):
                names.add(decode_meta(meta)[0]["item_id"].removeprefix("item-"))
    return names


def revive(directory):
    """Open and deliver all, in a life of its own that may take so long and no longer."""
    signal.alarm(HANG_S)
    log = AckLog(directory / "delivered")
    wrong = (directory / "wrong").open("a")

    def deliver(datapoint, checkpoint):
        name = datapoint.item_id.removeprefix("item-")
        expected = datapoint_of(name, IMAGE_BYTES, 0.0)
        same = (image_digest(datapoint), words_of(datapoint)) == (
            image_digest(expected),
            words_of(expected),
        )
        if not same:
            wrong.write(f"{name}\n")
            wrong.flush()
        log.add([name])
        return Receipt(status="created")

    try:
        spool = make_spool(directory / "spool", limits=LIMITS)
        spool.open()
    except SpoolError as exc:
        (directory / "refused").write_text(str(exc))
        os._exit(2)
    with spool:
        delivery = Delivery(spool, {SINK: deliver}, clock=SystemClock())
        while delivery.step():
            pass
        delivery.close(1.0)
        dead = {one.item_id.removeprefix("item-"): one.reason for one in spool.dead.list()}
        (directory / "dead").write_text(json.dumps(dead))
        pending = query(spool.directory, "SELECT count(*) FROM delivery WHERE state = 0")[0][0]
        (directory / "pending").write_text(str(pending))


def run_case(directory, template, seed):
    """Damage, open twice, and compare."""
    rng = random.Random(seed)
    shutil.copytree(template, directory)
    rows = json.loads((template / "rows").read_text())
    damage = Damage(directory / "spool", rng)
    survivors = intact(directory / "spool", template / "spool", rows)
    code = in_a_fork(lambda: revive(directory))
    again = in_a_fork(lambda: revive(directory))
    report = {"kind": damage.kind, "template": template.name, "codes": [code, again]}
    report["strict"] = damage.strict
    if code == 2 or again == 2:
        report["refused"] = (directory / "refused").read_text()
        report["may be refused"] = damage.refused
    elif code == again == 0:
        delivered = AckLog.read(directory / "delivered")
        dead = json.loads((directory / "dead").read_text())
        report["altered"] = (directory / "wrong").read_text().split()
        report["pending"] = int((directory / "pending").read_text())
        report["lost"] = sorted(set(survivors) - set(delivered) - set(dead) - set(DELIVERED))
        report["gone for good"] = sorted(set(report["lost"]) - on_disk(directory / "spool"))
        report["dead but intact"] = {
            name: reason
            for name, reason in dead.items()
            if name in survivors and "never" not in reason
        }
        report["damaged and unsaid"] = sorted(
            name
            for name, reason in dead.items()
            if name not in survivors and not reason.startswith("corrupt: ") and name not in DEAD
        )
        report["repeated"] = len(delivered) - len(set(delivered))
    shutil.rmtree(directory)
    return report


def main(directory, seed, first, last):
    """Damage copies of two spools."""
    directory = Path(directory)
    templates = [directory / "young", directory / "checkpointed"]
    for template in templates:
        template.mkdir(parents=True)
        assert in_a_fork(lambda template=template: leave_behind(template)) == 0
        copy = directory / "copy"
        shutil.copytree(template, copy)
        sql = f"SELECT item_id, file, offset, image_bytes + meta_bytes + {FOOTER.size} FROM item"  # noqa: S608 - a number
        rows = query(copy / "spool", sql)
        (template / "rows").write_text(json.dumps(rows))
        shutil.rmtree(copy)
    for number in range(int(first), int(last)):
        report = run_case(directory / "case", templates[number % 2], f"{seed}/{number}")
        sys.stdout.write(json.dumps({"case": number, **report}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
