"""The manifest of a collection: one JSON line per picture, appended and never rewritten.

A line is the publication of its picture. Several threads and processes may append: each does so
under a file lock, after reading what the others have appended, so a picture is never listed twice.
"""

import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from al_framework_local.durable import sync_directory, write_all
from al_framework_local.strict_json import parse_json

MANIFEST = "manifest.jsonl"
_LOCK = ".manifest.lock"


class Manifest:
    """The manifest of one directory, with an index of what it lists.

    Args:
        directory: The collection; it must exist.
        logger: Hears of lines that were cut off or cannot be read.
    """

    def __init__(self, directory: Path, *, logger: logging.Logger) -> None:
        self._directory = directory
        self._path = directory / MANIFEST
        self._logger = logger
        # By process: the child of a fork may inherit one that a thread of its parent has taken.
        self._mutexes: dict[int, threading.Lock] = {}
        self._forget()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other thread and process from appending, and know what they appended.

        Raises:
            OSError: The lock or the manifest cannot be opened, read or repaired.
        """
        # Here, so that the plugin's other components load where the module does not exist.
        import fcntl

        with self._mutexes.setdefault(os.getpid(), threading.Lock()):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._directory / _LOCK, flags, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._catch_up()
                yield
            finally:
                # Unlocked, not only closed: a process forked meanwhile holds the descriptor too.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                os.close(descriptor)

    def find(self, *, item_id: str, content_key: str) -> str | None:
        """Return the file that holds this datapoint or the same picture; None if none does."""
        return self._by_item.get(item_id) or self._by_content.get(content_key)

    def is_taken(self, file: str, *, content_key: str) -> bool:
        """Tell whether the file's name belongs to another picture."""
        return self._content_of.get(file, content_key) != content_key

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line; it is on the disk on return. Only while `locked`.

        Raises:
            OSError: It could not be written; the manifest is as before.
            ValueError: The record holds a number that is not finite.
        """
        # ASCII only: names may hold what UTF-8 cannot, and no editor then breaks a line.
        line = json.dumps(record, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o666)
        try:
            write_all(descriptor, line)
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, self._end)
            raise
        finally:
            os.close(descriptor)
        self._note(record)
        self._end += len(line)

    def _forget(self) -> None:
        self._by_item: dict[str, str] = {}
        self._by_content: dict[str, str] = {}
        self._content_of: dict[str, str] = {}
        self._inode = 0
        self._end = 0
        self._lines = 0

    def _catch_up(self) -> None:
        # A link planted in the directory would have us write to whatever it points at.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o666)
        with os.fdopen(descriptor, "r+b") as stream:
            status = os.fstat(descriptor)
            if status.st_ino != self._inode or status.st_size < self._end:
                # Another file than the one we know: somebody replaced or shortened it.
                self._forget()
                self._inode = status.st_ino
                sync_directory(self._directory)
            if status.st_size == self._end:
                return
            stream.seek(self._end)
            tail = b""
            for line in stream:
                if not line.endswith(b"\n"):
                    tail = line
                    break
                self._read(line)
                self._end += len(line)
            if tail:
                self._mend(stream, tail)

    def _mend(self, stream: BinaryIO, tail: bytes) -> None:
        if _parse(tail) is None:
            self._logger.warning(
                "%s: the last line was not written completely: its %d bytes are cut off",
                self._path,
                len(tail),
            )
            stream.truncate(self._end)
        else:
            # An editor took the last newline away; without it two records would merge.
            stream.seek(0, os.SEEK_END)
            stream.write(b"\n")
            self._read(tail)
            self._end += len(tail) + 1
        stream.flush()
        os.fsync(stream.fileno())

    def _read(self, line: bytes) -> None:
        record = _parse(line)
        self._lines += 1
        if record is None:
            self._logger.warning(
                "%s: line %d cannot be read: it is left as it is", self._path, self._lines
            )
        else:
            self._note(record)

    def _note(self, record: Mapping[str, Any]) -> None:
        file, content_key = str(record["file"]), str(record["content_key"])
        self._by_item[str(record["item_id"])] = file
        self._by_content[content_key] = file
        self._content_of[file] = content_key


def _parse(line: bytes) -> Mapping[str, Any] | None:
    try:
        record = parse_json(line)
    except ValueError:
        return None
    names = ("file", "item_id", "content_key")
    if not isinstance(record, dict) or not all(isinstance(record.get(n), str) for n in names):
        return None
    return record
