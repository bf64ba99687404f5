"""What a disk refuses is told by kind, and leaves whole files only."""

import errno
import os
import sys

import pytest

from al_framework.api import SinkPausedError, TransientSinkError
from al_framework.testing.fakes import FakeCheckpoint
from al_framework_local.durable import replace_file


def deliver(sink, datapoint):
    return sink.deliver(datapoint, FakeCheckpoint())


def failing(number: int):
    def fail(*_args: object, **_kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_transient_and_leaves_nothing_behind(
    collected, sink, datapoint, monkeypatch, number
):
    deliver(sink, datapoint(1))
    before = collected.lines, collected.pictures
    monkeypatch.setattr(os, "write", failing(number))
    with pytest.raises(
        TransientSinkError,
        match=r"^sink 'store': the directory '.*/collected' is on a full disk \(.*\): "
        "free some room, delivery is tried again$",
    ):
        deliver(sink, datapoint(2))
    monkeypatch.undo()

    assert before == (collected.lines, collected.pictures)
    assert deliver(sink, datapoint(2)).status == "created"


def test_a_disk_that_fills_up_within_the_line_leaves_whole_lines(
    collected, sink, datapoint, monkeypatch
):
    deliver(sink, datapoint(1))
    real = os.write
    appended: list[int] = []

    def short(descriptor: int, data: memoryview) -> int:
        if data[:1] == b"{":
            appended.append(descriptor)
            return real(descriptor, data[:100])
        if appended:
            raise OSError(errno.ENOSPC, "full")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(TransientSinkError, match=r"is on a full disk"):
        deliver(sink, datapoint(2))
    monkeypatch.undo()

    assert len(collected.lines) == 1
    assert deliver(sink, datapoint(2)).status == "created"
    assert len(collected.lines) == len(collected.pictures) == 2


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_directory_that_became_read_only_pauses_the_sink(sink, datapoint, monkeypatch, number):
    monkeypatch.setattr(os, "open", failing(number))
    with pytest.raises(
        SinkPausedError,
        match=r"^sink 'store': the directory '.*/collected' cannot be written \(.*\): "
        "restore it or its permissions, delivery waits$",
    ):
        deliver(sink, datapoint())


def test_a_directory_that_is_gone_pauses_the_sink(tmp_path, sink, datapoint):
    (tmp_path / "collected").rename(tmp_path / "away")
    with pytest.raises(SinkPausedError, match=r"cannot be written"):
        deliver(sink, datapoint())

    assert [tmp_path / "away"] == list(tmp_path.iterdir())


def test_any_other_failure_of_the_disk_is_transient(sink, datapoint, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(
        TransientSinkError,
        match=r"cannot be written \(\[Errno 5\] Input/output error\): delivery is tried again$",
    ):
        deliver(sink, datapoint())


def test_a_file_in_place_of_the_directory_stops_the_start(tmp_path, new_sink):
    (tmp_path / "collected").write_bytes(b"x")
    with pytest.raises(
        SinkPausedError,
        match=r"^sink 'store': the directory '.*/collected' cannot be created: '.*/collected' "
        "is a file: choose another path$",
    ):
        new_sink().start()


@pytest.mark.parametrize("path", ["blocked/collected", "collected"])
def test_a_file_on_the_way_to_the_directory_stops_the_start(tmp_path, new_sink, path):
    (tmp_path / "blocked").write_bytes(b"x")
    (tmp_path / "collected").mkdir()
    (tmp_path / "collected" / "images").write_bytes(b"x")
    with pytest.raises(SinkPausedError, match=r"is a file: choose another path$"):
        new_sink(path=path).start()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_directory_that_cannot_be_written_stops_the_start(new_sink, monkeypatch, number):
    monkeypatch.setattr(os, "open", failing(number))
    with pytest.raises(
        SinkPausedError,
        match=r"cannot be written \(.*\): correct its permissions, free its disk or choose "
        "another path$",
    ):
        new_sink().start()


def test_a_directory_without_permission_stops_the_start(new_sink, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_args: False)
    with pytest.raises(
        SinkPausedError,
        match=r"is not writable: correct its permissions or choose another path$",
    ):
        new_sink().start()


def test_where_files_cannot_be_locked_the_start_says_so(new_sink, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(
        SinkPausedError,
        match=r"cannot be locked: this sink needs Linux or macOS, use another type$",
    ):
        new_sink().start()


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    replace_file(path, b"one")
    (tmp_path / ".page.html.partial").write_bytes(b"left by a crash")
    replace_file(path, b"two")
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match=r"Input/output error"):
        replace_file(path, b"three")

    assert path.read_bytes() == b"two"
    assert [path] == list(tmp_path.iterdir())
