"""Tell whether SQLite would take a damaged log for a shorter one, and drop commits without a word.

The log of an index (``spool.db-wal``) is a chain of frames, each with a checksum over all before
it. When the first process opens an index after an unclean end, SQLite goes along the chain, and
takes the first frame that does not fit for the end: that is right for a writer that was killed in
the middle of a commit, and loses everything behind it if the frame was damaged later. Two witnesses
tell the one from the other:

* The shared memory (``spool.db-shm``) says how many frames were committed. SQLite writes that down
  after each commit and before it reports it, so it holds whatever process was killed. It ignores it
  at the start, when it may be a leftover of before a power failure; a leftover never says more than
  what had been synced, though, so what it says was committed has to be there.
* Behind the end there may be frames of the same generation. A commit that was cut short leaves one
  commit mark at most, and nothing after it: no commit begins before the one before is synced.

What cannot be seen is a log that lost its end together with the shared memory: nothing is left that
would tell of it.

Source: https://www.sqlite.org/walformat.html and fileformat2.html, section 4. A shared memory of
another version than the one described there is not believed.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

_Sums: TypeAlias = tuple[int, int]

_VERSION = 3007000
_MAGIC = 0x377F0682  # the last bit tells the byte order of checksums
_HEADER_BYTES, _FRAME_BYTES = 32, 24
_CHUNK_BYTES = 1 << 20
_MASK = 0xFFFFFFFF
_SHARED = struct.Struct("=I8xB3xI12x8s8s")  # version, is used, frames, salts, checksum
_MOVED_AT = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """What the shared memory says of the log.

    Attributes:
        salts: Name of the log's generation.
        frames: How many frames of it are committed.
        moved: How many of those are in the index itself already.
    """

    salts: bytes
    frames: int
    moved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """How a log begins.

    Attributes:
        salts: Name of its generation; older frames have another one.
        page_size: Bytes of a page.
        order: Byte order of the numbers that checksums are made of.
        sums: Checksum so far.
    """

    salts: bytes
    page_size: int
    order: str
    sums: _Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """One page in the log.

    Attributes:
        number: From 1.
        is_commit: Whether it ends a transaction.
        is_intact: Whether it and all before it are what was written.
    """

    number: int
    is_commit: bool
    is_intact: bool


def has_lost_commits(index: Path) -> bool:
    """Tell whether commits are missing from a log, before SQLite looks at it.

    To be called under the spool's lock, while nobody can write.

    Args:
        index: The database, whose log and shared memory lie beside it.

    Raises:
        OSError: One of the files cannot be read.
    """
    shared = Path(f"{index}-shm")
    if not index.stat().st_size or _is_open_here(shared):
        return False  # there is nothing in it, or this process has looked already
    claim = _read_claim(shared)
    try:
        with Path(f"{index}-wal").open("rb") as log:
            return _is_damaged(log, claim)
    except FileNotFoundError:
        return claim is not None and claim.moved < claim.frames


def count_committed(log: BinaryIO) -> int:
    """Return how many frames of a log SQLite would find, the last of them a commit."""
    header = _read_header(log)
    frames = _frames(log, header) if header is not None else iter(())
    return max((one.number for one in frames if one.is_intact and one.is_commit), default=0)


def _is_damaged(log: BinaryIO, claim: _Claim | None) -> bool:
    header = _read_header(log)
    if header is None:
        if claim is not None:
            return claim.moved < claim.frames
        # The header is synced before any frame is written.
        return os.fstat(log.fileno()).st_size > _HEADER_BYTES + _FRAME_BYTES
    committed, pending_commit, goes_on = 0, False, False
    for frame in _frames(log, header):
        if frame.is_intact and frame.is_commit:
            committed = frame.number
        elif not frame.is_intact:
            goes_on = goes_on or pending_commit
            pending_commit = pending_commit or frame.is_commit
    if goes_on:
        return True
    if claim is None or claim.salts != header.salts or claim.frames <= committed:
        return False
    # Without any frame SQLite reads the index as it is; with some of them it would mix up pages of
    # different ages, even if all had been moved.
    return committed > 0 or claim.moved < claim.frames


def _read_header(log: BinaryIO) -> _Header | None:
    data = log.read(_HEADER_BYTES)
    if len(data) < _HEADER_BYTES:
        return None
    magic, _, page_size, _, salts, *stored = struct.unpack(">IIII8sII", data)
    if magic & ~1 != _MAGIC or page_size & (page_size - 1) or not 512 <= page_size <= 65536:
        return None
    order = ">" if magic & 1 else "<"
    sums = _checksum(data[:24], order)
    if sums != tuple(stored):
        return None
    return _Header(salts=salts, page_size=page_size, order=order, sums=sums)


def _frames(log: BinaryIO, header: _Header) -> Iterator[_Frame]:
    """Yield the whole frames of the log's generation, wherever they stand."""
    size = _FRAME_BYTES + header.page_size
    carry, weights = _weights((8 + header.page_size) // 8)
    number, sums, is_intact = 0, header.sums, True
    while data := log.read(_CHUNK_BYTES // size * size):
        count = len(data) // size
        frames = np.frombuffer(data, np.uint8, count * size).reshape(count, size)
        added = _added(frames, weights, header.order).tolist() if is_intact else [(0, 0)] * count
        for start, (first, second) in zip(range(0, count * size, size), added, strict=True):
            number += 1
            page, commit, salts, *stored = struct.unpack_from(">II8sII", data, start)
            sums = (
                (carry[0][0] * sums[0] + carry[0][1] * sums[1] + first) & _MASK,
                (carry[1][0] * sums[0] + carry[1][1] * sums[1] + second) & _MASK,
            )
            is_ours = salts == header.salts
            is_intact = is_intact and is_ours and page != 0 and sums == tuple(stored)
            if is_ours:
                yield _Frame(number=number, is_commit=commit != 0, is_intact=is_intact)


def _added(
    frames: npt.NDArray[np.uint8], weights: npt.NDArray[np.uint32], order: str
) -> npt.NDArray[np.uint32]:
    """Return what each frame adds to the checksum: of its first numbers and its page."""
    covered = np.concatenate((frames[:, :8], frames[:, _FRAME_BYTES:]), axis=1)
    words = covered.view(f"{order}u4").astype(np.uint32)
    return words @ weights


def _weights(pairs: int) -> tuple[tuple[_Sums, _Sums], npt.NDArray[np.uint32]]:
    """Return what so many pairs of numbers do to a checksum, all at once.

    One pair ``x, y`` takes ``(a, b)`` to ``(a + b + x, a + 2 b + x + y)``: that is linear, so the
    sum of a whole frame is one product instead of a thousand steps. All of it modulo 2 ** 32.

    Returns:
        The matrix for the checksum before, and the weights of each number for both sums.
    """
    (a, b), (c, d) = (1, 0), (0, 1)
    weights: list[_Sums] = []
    for _ in range(pairs):  # from the last pair to the first
        weights += [(b & _MASK, d & _MASK), ((a + b) & _MASK, (c + d) & _MASK)]
        a, b = (a + b) & _MASK, (a + 2 * b) & _MASK
        c, d = (c + d) & _MASK, (c + 2 * d) & _MASK
    return ((a, b), (c, d)), np.array(weights[::-1], np.uint32)


def _checksum(data: bytes, order: str) -> _Sums:
    first = second = 0
    for x, y in struct.iter_unpack(f"{order}II", data):
        first = (first + x + second) & _MASK
        second = (second + y + first) & _MASK
    return first, second


def _read_claim(shared: Path) -> _Claim | None:
    try:
        with shared.open("rb") as file:
            data = file.read(_MOVED_AT + 4)
    except FileNotFoundError:
        return None
    if len(data) < _MOVED_AT + 4 or data[:48] != data[48:96]:
        return None
    version, is_used, frames, salts, stored = _SHARED.unpack_from(data)
    sums = struct.pack("=II", *_checksum(data[:40], "="))
    if version != _VERSION or not is_used or sums != stored:
        return None
    (moved,) = struct.unpack_from("=I", data, _MOVED_AT)
    return _Claim(salts=salts, frames=frames, moved=moved)


def _is_open_here(path: Path) -> bool:
    """Tell whether this process has the file open.

    If so it must not be touched: closing a file gives back all locks that the process has on it,
    SQLite's included.
    """
    try:
        file = path.stat()
    except FileNotFoundError:
        return False
    descriptors = Path("/proc/self/fd")
    for descriptor in (descriptors if descriptors.is_dir() else Path("/dev/fd")).iterdir():
        try:
            status = os.fstat(int(descriptor.name))
        except OSError:  # the one that the directory was read with
            continue
        if (status.st_dev, status.st_ino) == (file.st_dev, file.st_ino):
            return True
    return False
