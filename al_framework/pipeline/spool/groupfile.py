"""Group files: the datapoints of one commit, one after the other.

Each is ``picture, metadata, footer``; the footer tells both lengths and the SHA-256 of what stands
before it. So a file is readable without the index, a damaged datapoint leaves its neighbours alone,
and the file of a single datapoint opens in any picture viewer.
"""

import errno
import hashlib
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from al_framework.pipeline.spool.failpoints import Failpoint, no_failpoint
from al_framework.pipeline.spool.records import CorruptItemError, Digest, Place

MAGIC = b"\xa1ALS\r\n\x1a\n"
VERSION = 1
FOOTER = struct.Struct(">8sHQQ32s")
MAX_FILE_BYTES = 1 << 28
# What is wrong with this process or its machine, and passes.
NOT_OF_THE_FILE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN})
_BUFFERS_PER_CALL = 512  # POSIX promises 16, Linux and macOS take 1024


class GroupItem(NamedTuple):
    """What a group file holds of one datapoint.

    Attributes:
        image: The picture.
        meta: Its metadata.
        digest: Of the picture; None where it is still to be made.
    """

    image: bytes
    meta: bytes
    digest: Digest | None = None


def write_group(
    path: Path, items: Sequence[GroupItem], failpoint: Failpoint = no_failpoint
) -> list[Place]:
    """Write pictures with their metadata to a new file and sync its contents.

    Args:
        path: The file; it must not exist. On an error it stays behind, unfinished.
        items: The datapoints.
        failpoint: Where a test can stop between the two.

    Raises:
        OSError: The disk is full, or whatever else went wrong.
    """
    places: list[Place] = []
    buffers: list[bytes] = []
    offset = 0
    for image, meta, digest in items:
        footer = _footer(image, meta, digest)
        places.append(Place(offset=offset, image_bytes=len(image), meta_bytes=len(meta)))
        buffers += [image, meta, footer]
        offset += len(image) + len(meta) + len(footer)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        _write_all(descriptor, buffers)
        failpoint("filled")
        _sync_contents(descriptor)
    finally:
        os.close(descriptor)
    return places


def group_bytes(items: Sequence[GroupItem]) -> int:
    """Return the size of the file that a group takes."""
    return sum(len(item.image) + len(item.meta) + FOOTER.size for item in items)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_item(path: Path, place: Place) -> tuple[bytes, bytes]:
    """Return picture and metadata of one datapoint.

    Raises:
        CorruptItemError: They are not what was written.
    """
    image_bytes, meta_bytes = place.image_bytes, place.meta_bytes
    try:
        with path.open("rb") as file:
            # A damaged index may say anything: nothing of that size is even asked for.
            if not _lies_within(place, os.fstat(file.fileno()).st_size):
                raise CorruptItemError(
                    f"group file {path.name!r}, offset {place.offset!r}: the datapoint does not lie"
                    " within it, by what the index says"
                )
            file.seek(place.offset)
            data = file.read(image_bytes + meta_bytes + FOOTER.size)
    except OSError as exc:
        raise CorruptItemError(f"group file {path.name!r}: {exc.strerror or exc}") from exc
    except ValueError as exc:  # a name with a zero byte
        raise CorruptItemError(f"group file {path.name!r}: {exc}") from exc
    image, meta = data[:image_bytes], data[image_bytes : image_bytes + meta_bytes]
    if data[image_bytes + meta_bytes :] != _footer(image, meta):
        raise CorruptItemError(
            f"group file {path.name!r}, offset {place.offset}: the bytes do not match their"
            " checksum"
        )
    return image, meta


def scan_group(data: bytes) -> Iterator[tuple[Place, bytes]]:
    """Yield place and metadata of every intact datapoint of a group file, the last one first.

    From the end, since that is where a footer must stand: what looks like a footer inside an intact
    picture is skipped together with the picture.
    """
    end = free = len(data)
    while (position := data.rfind(MAGIC, 0, end)) >= 0:
        end = position
        if position + FOOTER.size > free:
            continue
        _, version, image_bytes, meta_bytes, _ = FOOTER.unpack_from(data, position)
        start = position - image_bytes - meta_bytes
        if version != VERSION or start < 0:
            continue
        image = data[start : start + image_bytes]
        meta = data[start + image_bytes : position]
        if data[position : position + FOOTER.size] == _footer(image, meta):
            yield Place(offset=start, image_bytes=image_bytes, meta_bytes=meta_bytes), meta
            end = free = start


def _lies_within(place: Place, size: int) -> bool:
    numbers: tuple[object, ...] = (place.offset, place.image_bytes, place.meta_bytes)
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        return False
    return place.offset + place.image_bytes + place.meta_bytes + FOOTER.size <= size


def read_group(path: Path) -> bytes:
    """Return all of a group file.

    Raises:
        OSError: It cannot be read, or is far larger than any group of ours: a foreign file must not
            fill the memory.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return path.read_bytes()


def _footer(image: bytes, meta: bytes, known: Digest | None = None) -> bytes:
    digest = hashlib.sha256(image) if known is None else known.copy()
    digest.update(meta)
    return FOOTER.pack(MAGIC, VERSION, len(image), len(meta), digest.digest())


def _write_all(descriptor: int, buffers: Sequence[bytes]) -> None:
    waiting = [memoryview(buffer) for buffer in buffers if buffer]
    while waiting:
        # On a full disk writev returns a smaller number and raises only when called again.
        written = os.writev(descriptor, waiting[:_BUFFERS_PER_CALL])
        if written == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        while waiting and written >= len(waiting[0]):
            written -= len(waiting.pop(0))
        if written:
            waiting[0] = waiting[0][written:]


def _sync_contents(descriptor: int) -> None:
    if sys.platform == "darwin":  # pragma: no cover - macOS: fsync alone leaves the disk's cache
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(descriptor)
