"""A disk that forgets: what may be left after the power fails, from what was really asked of it.

`Recorder` takes the place of the functions of `os` and of the connections of `sqlite3`, does what
they do, and writes down every step. `Disk` replays the steps up to a moment and yields what a
disk is allowed to hold after a cut there:

* a name that was added, removed or renamed since its directory was last synced is there or not;
* contents that were not synced are whole, absent, torn, or zeros of the right length;
* a commit with ``synchronous`` below FULL may be gone until the log is next synced.

SQLite itself is trusted (its own crash tests cover it), and so is a disk that obeys a flush.
"""

import base64
import itertools
import json
import os
import random
import sqlite3
from pathlib import Path

DATABASE = "spool.db"
GROUP_SUFFIX = ".als"
MAX_NAMES = 4  # of which every combination is tried; of more, the corners and a few at random
COMBINATIONS = 12


def is_ours(name):
    """Tell whether the model knows this file: locks say nothing, the index is known by commits."""
    return not name.endswith(".lock") and not name.startswith(DATABASE)


class Recorder:
    """Writes down what is asked of the disk below one directory.

    Attributes:
        steps: What was asked, in order: a list of lists, the first element of each its kind.
        mutation: What to do wrong, to see whether the model notices.
        before_commit: Called just before a commit.
    """

    def __init__(self, root, snapshots, mutation=""):
        self.root = Path(root)
        self.steps = []
        self.mutation = mutation
        self.before_commit = lambda: None
        self._snapshots = Path(snapshots)
        self._count = itertools.count()
        self._paths = {}
        self._late = []
        self._removed = []

    def install(self):
        """Stand between the code and the disk, for as long as this process lives."""
        for name in (
            "open", "close", "write", "writev", "fdatasync", "fsync", "mkdir", "unlink", "rmdir",
            "rename", "replace", "remove",
        ):  # fmt: skip
            setattr(os, name, self._wrapped(getattr(os, name), getattr(self, f"_{name}")))
        real_connect, recorder = sqlite3.connect, self

        def connect(*arguments, **options):
            class Connection(_Connection):
                """Tells of its commits."""

                told = recorder

            return real_connect(*arguments, factory=Connection, **options)

        sqlite3.connect = connect

    def note(self, kind, *values):
        """Write a step down."""
        self.steps.append([kind, *values])

    def save(self, path):
        """Keep the steps for the process that judges."""
        encoded = [
            [{"b": base64.b64encode(v).decode()} if isinstance(v, bytes) else v for v in step]
            for step in self.steps
        ]
        Path(path).write_text(json.dumps(encoded), encoding="ascii")

    @staticmethod
    def load(path):
        steps = json.loads(Path(path).read_text(encoding="ascii"))
        return [
            [base64.b64decode(v["b"]) if isinstance(v, dict) else v for v in step] for step in steps
        ]

    def _wrapped(self, real, note):
        def call(*arguments, **options):
            return note(real, *arguments, **options)

        return call

    def _below(self, path):
        try:
            return str(Path(os.fspath(path)).relative_to(self.root))
        except (TypeError, ValueError):
            return None

    def _open(self, real, path, flags, *rest, **options):
        is_new = bool(flags & os.O_CREAT) and not os.path.lexists(path)
        descriptor = real(path, flags, *rest, **options)
        if (below := self._below(path)) is not None:
            self._paths[descriptor] = below
            if is_new:
                self._note_new(below)
        return descriptor

    def _note_new(self, below):
        name = Path(below).name
        if name == DATABASE:
            self.note("index", self._snapshot(b""), False)
        elif is_ours(name):
            self.note("create", below)

    def _close(self, real, descriptor):
        self._paths.pop(descriptor, None)
        return real(descriptor)

    def _write(self, real, descriptor, data):
        return self._note_write(descriptor, [data], real(descriptor, data))

    def _writev(self, real, descriptor, buffers):
        return self._note_write(descriptor, buffers, real(descriptor, buffers))

    def _note_write(self, descriptor, buffers, written):
        below = self._paths.get(descriptor)
        if below is not None and is_ours(Path(below).name):
            self.note("write", below, b"".join(bytes(one) for one in buffers)[:written])
        return written

    def _fdatasync(self, real, descriptor):
        below = self._paths.get(descriptor)
        if below is None:
            return real(descriptor)
        if self.mutation == "no fdatasync":
            return None
        if self.mutation == "synced after the commit":
            self._late.append(("sync", below))
            return None
        result = real(descriptor)
        self.note("sync", below)
        return result

    def _fsync(self, real, descriptor):
        below = self._paths.get(descriptor)
        if below is None:
            return real(descriptor)
        if not (self.root / below).is_dir():
            return self._fdatasync(real, descriptor)
        depth = len(Path(below).parts)
        skipped = {"no fsync of the hour": 3, "no fsync of obj": 2, "no fsync of the spool": 1}
        if skipped.get(self.mutation) == depth:
            return None
        if self.mutation == "synced after the commit" and depth > 1:
            self._late.append(("syncdir", below))
            return None
        result = real(descriptor)
        self.note("syncdir", below)
        return result

    def _mkdir(self, real, path, *rest, **options):
        result = real(path, *rest, **options)
        self._note_name("mkdir", path)
        return result

    def _rmdir(self, real, path, *rest, **options):
        result = real(path, *rest, **options)
        self._note_name("unlink", path)
        return result

    def _unlink(self, real, path, *rest, **options):
        result = real(path, *rest, **options)
        self._note_name("unlink", path)
        return result

    _remove = _unlink

    def _rename(self, real, source, target, **options):
        result = real(source, target, **options)
        old, new = self._below(source), self._below(target)
        if old is not None and Path(old).name == DATABASE:
            self.note("index", None, False)
        elif old is not None and new is not None and is_ours(Path(old).name):
            self.note("rename", old, new)
        return result

    _replace = _rename

    def _note_name(self, kind, path):
        below = self._below(path)
        if below is None:
            return
        if Path(below).name == DATABASE:
            self.note("index", None, False)
        elif is_ours(Path(below).name):
            self.note(kind, below)

    def _snapshot(self, data):
        name = f"{next(self._count)}.db"
        (self._snapshots / name).write_bytes(data)
        return name

    def index_is(self, data):
        """Note what a test has done to the index itself."""
        self.note("index", self._snapshot(data), True)

    def committed(self, connection, is_durable):
        """Note a commit, and the syncs that a mutation has put off until after it."""
        self.note("index", self._snapshot(connection.serialize()), is_durable)
        for step in self._late:
            self.note(*step)
        self._late.clear()
        for path in self._removed:
            path.unlink(missing_ok=True)
        self._removed.clear()

    def deletes_item(self, connection, number):
        """Do wrong by the file of a datapoint whose row is about to go."""
        row = connection.execute("SELECT file FROM item WHERE number = ?", (number,)).fetchone()
        if row is None:
            return
        (file,) = row
        count = connection.execute("SELECT count(*) FROM item WHERE file = ?", row).fetchone()[0]
        path = next(self.root.glob(f"*/obj/{file}"), None)
        if path is None:
            return
        if self.mutation == "unlinked before the commit" and count == 1:
            path.unlink()
        if self.mutation == "unlinked with its neighbours" and count > 1:
            self._removed.append(path)


class _Connection(sqlite3.Connection):
    """A connection whose commits are noted, whatever statement they come from."""

    told: Recorder

    def execute(self, sql, parameters=(), /):
        told, words = self.told, sql.split()
        if told.mutation == "synchronous = NORMAL" and words[:2] == ["PRAGMA", "synchronous"]:
            sql = "PRAGMA synchronous = NORMAL"
        if words[:3] == ["DELETE", "FROM", "item"] and parameters:
            told.deletes_item(self, parameters[0])
        was_open, changes = self.in_transaction, self.total_changes
        if words[:1] == ["COMMIT"]:
            told.before_commit()
        cursor = super().execute(sql, parameters)
        ended = was_open and not self.in_transaction and words[:1] != ["ROLLBACK"]
        if ended or (not self.in_transaction and self.total_changes != changes):
            told.committed(self, super().execute("PRAGMA synchronous").fetchone()[0] >= 2)
        if words[:2] and words[0] == "PRAGMA" and words[1].startswith("wal_checkpoint"):
            told.note("logsync")
        return cursor


class Disk:
    """What is on the disk, and what would survive.

    Attributes:
        index: What the index may be: names of snapshots or None, the last one what it is now.
    """

    def __init__(self, snapshots):
        self._snapshots = Path(snapshots)
        self._kept = {}  # path -> file as last synced by its directory: None for a directory
        self._now = {}  # the same, as every process sees it
        self._uncertain = {}  # path -> every value since the directory was last synced
        self._tied = []  # pairs of paths that a rename has joined
        self._data, self._synced = {}, {}
        self._numbers = itertools.count()
        self.index = [None]

    def apply(self, step):
        """Do one step; those that say nothing about the disk change nothing."""
        kind, *values = step
        if (change := getattr(self, f"_do_{kind}", None)) is not None:
            change(*values)

    def _do_mkdir(self, path):
        self._set(path, ("directory",))

    def _do_create(self, path):
        file = next(self._numbers)
        self._data[file], self._synced[file] = b"", None
        self._set(path, ("file", file))

    def _do_unlink(self, path):
        self._set(path, None)

    def _do_rename(self, source, target):
        self._set(target, self._now[source])
        self._set(source, None)
        self._tied.append((source, target))

    def _do_write(self, path, data):
        self._data[self._now[path][1]] += data

    def _do_sync(self, path):
        if self._now.get(path) is not None:
            file = self._now[path][1]
            self._synced[file] = self._data[file]

    def _do_syncdir(self, path):
        for name in [name for name in self._uncertain if str(Path(name).parent) == path]:
            self._kept[name] = self._now[name]
            del self._uncertain[name]

    def _do_index(self, snapshot, is_durable):
        self.index = [snapshot] if is_durable else [*self.index, snapshot]

    def _do_logsync(self):
        self.index = self.index[-1:]

    def files(self):
        """Return what every process sees: contents by path, directories left out."""
        return {
            path: self._data[value[1]]
            for path, value in self._now.items()
            if value is not None and value[0] == "file"
        }

    def survivors(self, rng):
        """Yield every state that may be left: entries by path, and the index."""
        names = sorted(self._uncertain)
        for choice in self._choices(names, rng):
            entries = {path: value for path, value in self._kept.items() if value is not None}
            for name, value in zip(names, choice, strict=True):
                entries.pop(name, None)
                if value is not None:
                    entries[name] = value
            reachable = {path: v for path, v in entries.items() if _is_reachable(path, entries)}
            for contents in self._contents(reachable):
                for index in dict.fromkeys(self.index):
                    yield contents, index

    def _set(self, path, value):
        history = self._uncertain.setdefault(path, [self._kept.get(path)])
        history.append(value)
        self._now[path] = value

    def _choices(self, names, rng):
        options = [list(dict.fromkeys(self._uncertain[name])) for name in names]
        if len(names) <= MAX_NAMES:
            chosen = list(itertools.product(*options))
        else:
            old, new = [o[0] for o in options], [o[-1] for o in options]
            chosen = [tuple(old), tuple(new)]
            for place, values in enumerate(options):
                for base in (old, new):
                    chosen += [(*base[:place], value, *base[place + 1 :]) for value in values]
            chosen += [tuple(rng.choice(o) for o in options) for _ in range(COMBINATIONS)]
        for choice in dict.fromkeys(chosen):
            if all(self._agree(pair, names, choice) for pair in self._tied):
                yield choice

    def _agree(self, pair, names, choice):
        """Renaming is one change: both names or neither."""
        places = [names.index(path) for path in pair if path in names]
        if len(places) < len(pair):
            return True
        source, target = places
        return (choice[source] is None) == (choice[target] is not None)

    def _contents(self, entries):
        paths = sorted(path for path, value in entries.items() if value[0] == "file")
        fixed = {path: None for path, value in entries.items() if value[0] == "directory"}
        variants = [self._variants(path, entries[path][1]) for path in paths]
        for combination in itertools.product(*variants):
            yield {**fixed, **dict(zip(paths, combination, strict=True))}

    def _variants(self, path, file):
        data, synced = self._data[file], self._synced[file]
        if data == synced or not path.endswith(GROUP_SUFFIX):
            return [data]
        half = len(data) // 2
        torn = [synced or b"", data[:half], data[:half] + bytes(len(data) - half), bytes(len(data))]
        return list(dict.fromkeys([data, *torn]))

    def build(self, state, root):
        """Write a state to a real directory, as old as if nobody had touched it for long."""
        contents, index = state
        root.mkdir(mode=0o700)
        for path in sorted(contents):
            data = contents[path]
            if data is None:
                (root / path).mkdir(mode=0o700)
            else:
                (root / path).write_bytes(data)
                (root / path).chmod(0o600)
                os.utime(root / path, (0, 0))
        spool = root / "spool"
        if index is not None and spool.is_dir():
            (spool / DATABASE).write_bytes((self._snapshots / index).read_bytes())
            (spool / DATABASE).chmod(0o600)


def _is_reachable(path, entries):
    parents = [str(parent) for parent in Path(path).parents if str(parent) != "."]
    return all(entries.get(parent) is not None for parent in parents)


def survivors_at_every_step(steps, snapshots, seed):
    """Yield, for every moment, the moment, the disk and a state that was not yielded for it yet.

    Moments at which nothing more has been promised, and which leave what an earlier one left, are
    left out.
    """
    rng, disk, promised, seen = random.Random(seed), Disk(snapshots), [], set()
    for moment, step in enumerate([["begin"], *steps]):
        disk.apply(step)
        if step[0] in ("ack", "delivered"):
            promised.append(str(step[1:]))
        for state in disk.survivors(rng):
            contents, index = state
            key = hash((frozenset(contents.items()), index, tuple(promised)))
            if key not in seen:
                seen.add(key)
                yield moment, disk, state
