"""A disk that fills up during a run loses nothing that was accepted, and says so."""

import errno
import os
from pathlib import Path

from al_framework.cli import run as run_module


class FullDisk:
    """Makes writes below a directory fail, as those to a full disk do."""

    def __init__(self, monkeypatch, directory: Path) -> None:
        self._real_open, self._directory = os.open, str(directory)
        self._full: set[int] = set()
        monkeypatch.setattr(os, "open", self._open)
        for name in ("write", "writev"):
            monkeypatch.setattr(os, name, self._refusing(getattr(os, name)))

    def _open(self, path, flags, *arguments, **keywords):
        descriptor = self._real_open(path, flags, *arguments, **keywords)
        self._full.discard(descriptor)
        if os.fspath(path).startswith(self._directory):
            self._full.add(descriptor)
        return descriptor

    def _refusing(self, real):
        def write(descriptor, *arguments):
            if descriptor in self._full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(descriptor, *arguments)

        return write


def test_an_output_directory_on_a_full_disk_keeps_everything_in_the_spool(al, fine, monkeypatch):
    monkeypatch.setattr(run_module, "STALLED_S", 0.0)
    with monkeypatch.context() as patch:
        FullDisk(patch, fine.directory / "collected")
        full = al("run", "al.yaml")
        explained = al("explain", "000.jpg").out
    written = fine.collected()
    monkeypatch.setattr(run_module, "STALLED_S", 30.0)
    freed = al("run", "al.yaml", "--json")

    assert full.status == 1
    (failed,) = [line for line in full.out.splitlines() if "still to be delivered" in line]
    assert failed.startswith("  - sink 'directory': 2 still to be delivered (the directory '")
    assert failed.endswith("); they are safe in the spool, run again to go on")
    assert "sink 'directory' could not finish the run: " in full.err
    assert written == []
    assert f"the directory '{fine.directory / 'collected'}' is on a full disk" in explained
    assert freed.status == 0
    assert freed.summary["counts"]["sinks"]["directory"]["recovered"] == 2
    assert fine.collected() == ["cam/000.jpg", "cam/001.jpg"]


def test_a_spool_on_a_full_disk_ends_the_run_and_the_next_goes_on(al, fine, monkeypatch):
    monkeypatch.setattr(run_module, "STALLED_S", 0.0)
    with monkeypatch.context() as patch:
        FullDisk(patch, fine.directory / ".al")
        full = al("run", "al.yaml", "--json")
    freed = al("run", "al.yaml")

    assert full.status == 1
    assert full.summary["counts"]["dropped"] == {"disk_full": 2}
    assert len(full.summary["failures"]) == 1
    assert full.summary["failures"][0].startswith(f"spool '{fine.directory / '.al' / 'line'}': ")
    assert "No space left on device" in full.summary["failures"][0]
    assert freed.status == 0
    assert fine.collected() == ["cam/000.jpg", "cam/001.jpg"]
