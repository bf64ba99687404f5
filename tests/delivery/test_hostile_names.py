"""Names that become paths, links planted where we write, and permissions under a careless umask."""

import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from al_framework import Collector
from al_framework.api import Detections
from al_framework.testing.fakes import sample_jpeg

NAMES = {
    "parent": "../../../escaped",
    "absolute": "/tmp/escaped",  # noqa: S108 - a name that must not become a path
    "nul": "a\0b",
    "device": "CON",
    "device with suffix": "nul.jpg",
    "long": "x" * 300,
    "bidi": "img\u202egpj.exe",
    "newline": "a\nb\r\nc",
    "percent": "%2e%2e%2fescaped",
    "backslash": "..\\..\\escaped",
    "leading dot": ".htaccess",
    "leading dash": "-rf",
    "surrogate": "a\udc80b",
    "markup": "<script>alert(1)</script>",
    "escape": "\x1b[2J\x1b]0;owned\x07",
    "empty": "",
    "dots": "..",
    "shell": "$(touch escaped)`touch escaped`",
}
DOCUMENT = {
    "enabled": True,
    "persist_predictions": True,
    "sampling_strategies": [{"name": "all", "type": "random", "traffic_percentage": 1}],
    "batching_strategy": {"batches_name_prefix": "b", "recreation_interval": "never"},
}


def configuration(directory, **spool):
    return {
        "name": "line",
        "active_learning": DOCUMENT,
        "sinks": [{"type": "directory", "path": str(directory / "collected")}],
        "spool": {"path": str(directory / "spool"), "min_free_bytes": 0, **spool},
    }


def prediction(name):
    return Detections(
        xyxy=np.array([[1.0, 2.0, 30.0, 40.0]]),
        confidence=np.array([0.5]),
        class_name=(name,),
        image_size=(64, 48),
    )


def collect(directory, name="frame", **options):
    with Collector.from_config(configuration(directory)) as collector:
        ticket = collector.submit(sample_jpeg(), prediction(name), wait_accepted_s=10.0, **options)
        collector.close(10.0)
        return ticket, collector.stats()


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_name_leads_a_file_out_of_its_directory(tmp_path, monkeypatch, name):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # of what is imported on the way
    box = tmp_path / "box"
    box.mkdir()
    roots = ("collected", "spool")
    opened = []
    watching = [True]

    def watch(event, arguments):
        if watching[0] and event in {"open", "os.rename", "os.mkdir", "os.link", "os.symlink"}:
            path, flags = arguments[0], arguments[2] if event == "open" else os.O_WRONLY
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and isinstance(path, str | bytes | os.PathLike):
                opened.append(Path(os.fsdecode(path)).absolute())

    sys.addaudithook(watch)  # stays for good: switched off below
    try:
        _, counts = collect(box, name, frame_id=name, attributes={name: name}, model_id=name)
    finally:
        watching[0] = False
    pictures = list((box / "collected" / "images").iterdir())
    outside = [p for p in opened if not any(p.is_relative_to(box / root) for root in roots)]

    assert (counts.accepted, counts.sinks["directory"].delivered) == (1, 1)
    assert sorted(path.name for path in box.iterdir()) == list(roots)
    assert list(tmp_path.iterdir()) == [box]
    assert len(opened) > len(outside)  # what is written where it belongs is seen, too
    assert [path for path in outside if path.name not in {"null", "urandom"}] == []
    assert all(path.name.isascii() and not path.name.startswith((".", "-")) for path in pictures)
    assert b"<script>" not in (box / "collected" / "index.html").read_bytes()


@pytest.mark.parametrize("name", ["manifest.jsonl", ".manifest.lock"])
def test_a_link_planted_in_the_target_is_not_followed(tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    (tmp_path / "collected").mkdir()
    (tmp_path / "collected" / name).symlink_to(victim)
    with pytest.raises(Exception, match="symbolic links"):
        collect(tmp_path)

    assert victim.read_text() == "mine\n"


def test_a_link_under_the_name_of_a_picture_is_replaced_and_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    collect(tmp_path, frame_id="one")
    (picture,) = (tmp_path / "collected" / "images").iterdir()
    content = picture.read_bytes()
    picture.unlink()
    picture.symlink_to(victim)
    (tmp_path / "collected" / "manifest.jsonl").unlink()
    collect(tmp_path, frame_id="one")

    assert victim.read_text() == "mine\n"
    assert not picture.is_symlink()
    assert content == picture.read_bytes()


@pytest.mark.parametrize("planted", ["spool.db", "write.lock", "deliver.lock"])
def test_a_spool_that_somebody_else_could_prepare_is_refused(tmp_path, planted):
    (tmp_path / "spool").mkdir(mode=0o777)
    (tmp_path / "spool").chmod(0o777)
    (tmp_path / "spool" / planted).symlink_to(tmp_path / "victim")
    with pytest.raises(Exception, match=r"others can write to it \(mode 777\)"):
        collect(tmp_path)

    assert not (tmp_path / "victim").exists()


@pytest.fixture
def careless_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_the_spool_is_its_owners_alone_whatever_the_umask(tmp_path, careless_umask):
    with Collector.from_config(configuration(tmp_path, ballast_bytes=4096)) as collector:
        collector.submit(sample_jpeg(), prediction("a"), wait_accepted_s=10.0)
        spool = tmp_path / "spool"
        paths = [spool, *spool.rglob("*")]
        modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in paths}

    wrong = {name: oct(mode) for name, mode in modes.items() if mode & 0o077}
    assert wrong == {}
    assert {"spool.db", "write.lock"} <= set(modes)


def test_what_components_keep_is_their_owners_alone_whatever_the_umask(tmp_path, careless_umask):
    from al_framework.api import ProvidedConfiguration
    from al_framework.assembly.keeping import Keeper
    from al_framework.assembly.masking import Mask
    from al_framework.pipeline.strategy_state import save_state

    keeper = Keeper(tmp_path / "state" / "provider", "me", mask=Mask(()), read_only=False)
    keeper.write(ProvidedConfiguration(document={}), 1.0)

    class Context:
        name = "s"
        state_dir = tmp_path / "kept" / "strategy-s"

    class Stateful:
        stateful = True
        context = Context
        state_dict = staticmethod(dict)

    save_state(Stateful(), "")
    roots = (tmp_path / "state", tmp_path / "kept")
    paths = [path for root in roots for path in (root, *root.rglob("*"))]

    assert len(paths) == 6
    assert [str(path) for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
