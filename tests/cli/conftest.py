import importlib
import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from al_framework import cli
from al_framework.testing import FakeClock, sample_jpeg

COMMAND = Path(sys.executable).with_name("al")
DEADLINE_S = 60.0

# Detections beside a picture, as Roboflow's API answers.
BOX = {"x": 32, "y": 24, "width": 20, "height": 16, "class": "cat", "class_id": 0}
TAKE_ALL = "{name: all, type: random, traffic_percentage: 1, limits: []}"
CONFIGURATION = """\
name: line
sources:
  - {{name: cam, type: {source}, path: frames}}
active_learning:
  enabled: true
  persist_predictions: true
  sampling_strategies:
    - {strategies}
  batching_strategy: {{batches_name_prefix: al, recreation_interval: never}}
sinks:
  - {{type: directory, path: collected}}
"""

# A sink that does what a file beside the configuration says.
MOODY = """
from al_framework.api import (
    PermanentSinkError, Receipt, Sink, SinkPausedError, TransientSinkError, hookimpl
)

class Moody(Sink):
    type_name = "moody"

    def deliver(self, datapoint, checkpoint):
        mood = self.context.resolve("mood").read_text()
        if mood == "refuses":
            raise PermanentSinkError("it wants no cats")
        if mood == "locked":
            raise SinkPausedError("the key is refused: give another api_key")
        if mood == "away":
            raise TransientSinkError("nobody answers", retry_after_s=3000)
        return Receipt(status="created")

@hookimpl
def al_register_sinks():
    return [Moody]
"""


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def summary(self) -> Any:
        return json.loads(self.out)


class Desk:
    """A directory with a configuration, pictures, and a command line."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.frames = directory / "frames"
        self.site = directory / "site"

    def write(
        self, *, strategies: Sequence[str] = (TAKE_ALL,), source: str = "directory", more: str = ""
    ) -> None:
        listed = "\n    - ".join(strategies)
        text = CONFIGURATION.format(strategies=listed, source=source) + more
        (self.directory / "al.yaml").write_text(text)

    def add_frames(self, count: int, *, confidence: Callable[[int], float] | None = None) -> None:
        self.frames.mkdir(exist_ok=True)
        for number in range(count):
            self.add_frame(f"{number:03d}", seed=number)
            if confidence is not None:
                self.predict(f"{number:03d}", [{**BOX, "confidence": confidence(number)}])

    def add_frame(self, stem: str, *, seed: int = 0) -> None:
        self.frames.mkdir(exist_ok=True)
        (self.frames / f"{stem}.jpg").write_bytes(sample_jpeg(seed=seed))

    def predict(self, stem: str, predictions: object) -> None:
        document = {"image": {"width": 64, "height": 48}, "predictions": predictions}
        (self.frames / f"{stem}.json").write_text(json.dumps(document))

    def names(self) -> list[str]:
        return [f"cam/{file.name}" for file in sorted(self.frames.glob("*.jpg"))]

    def manifest(self) -> list[dict[str, Any]]:
        path = self.directory / "collected" / "manifest.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]

    def collected(self) -> list[str]:
        return sorted(line["frame_id"] for line in self.manifest())

    def pictures(self) -> list[Path]:
        return sorted((self.directory / "collected" / "images").glob("[!.]*"))

    def listing(self) -> dict[str, tuple[int, int]]:
        return {
            str(path.relative_to(self.directory)): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in self.directory.rglob("*")
        }

    def install(
        self, name: str, code: str, *, group: str = "al_framework", value: str = ""
    ) -> None:
        """Put a distribution into a directory that `spawn` has on its path."""
        info = self.site / f"al_{name}-1.2.dist-info"
        info.mkdir(parents=True)
        (self.site / f"site_{name}.py").write_text(textwrap.dedent(code))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: al-{name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value or f'site_{name}'}\n")
        importlib.invalidate_caches()

    def spawn(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start the command as a user does."""
        return subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(self.site), "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: str) -> Outcome:
        process = self.spawn(*arguments)
        out, err = process.communicate(timeout=DEADLINE_S)
        assert "Traceback" not in out + err, err
        return Outcome(process.returncode, out, err)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path)


@pytest.fixture
def still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no limit's window end during a test."""
    monkeypatch.setattr("al_framework.assembly.SteadyClock", FakeClock)
    monkeypatch.setattr("al_framework.cli.explain.SystemClock", FakeClock)


@pytest.fixture
def al(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Callable[..., Outcome]:
    """Run the command in this process, as its entry point does; no traceback may ever show."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["al", *map(str, arguments)])
        capsys.readouterr()
        try:
            cli.main()
            status = 0
        except SystemExit as exc:
            status = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
        captured = capsys.readouterr()
        errors = [record for record in caplog.records if record.levelname == "ERROR"]
        assert "Traceback" not in captured.out + captured.err
        assert not [record.getMessage() for record in errors if record.exc_info]
        logged = "".join(f"{record.getMessage()}\n" for record in errors)
        return Outcome(status, captured.out, captured.err + logged)

    return call


@pytest.fixture
def moody(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A configuration with the sink `picky`, whose mood can be set."""
    desk.install("moody", MOODY)
    monkeypatch.syspath_prepend(str(desk.site))
    desk.write(more="  - {name: picky, type: moody}\n")

    def feel(mood: str) -> None:
        (desk.directory / "mood").write_text(mood)

    return feel


@pytest.fixture
def fine(desk: Desk) -> Desk:
    """A configuration and two pictures with which nothing is wrong."""
    desk.add_frames(2)
    desk.write()
    return desk


@pytest.fixture
def refused(
    al: Callable[..., Outcome], desk: Desk, moody: Callable[[str], None], still_clock: None
) -> Callable[..., Outcome]:
    """Three datapoints that the sink `picky` has refused."""
    moody("refuses")
    desk.add_frames(3)
    result = al("run", "al.yaml", "--json")
    assert result.status == 1, result.err
    return al


@pytest.fixture
def letters(refused: Callable[..., Outcome]) -> Any:
    """What `refused` has made, as the command lists it."""
    return refused("dead", "list", "--json").summary


@pytest.fixture
def index(desk: Desk) -> Callable[..., None]:
    """Change the index behind everybody's back."""

    def change(sql: str, *values: Any) -> None:
        with sqlite3.connect(desk.directory / ".al" / "line" / "spool.db") as connection:
            connection.execute(sql, values)
        connection.close()

    return change


@pytest.fixture
def locked(
    al: Callable[..., Outcome], desk: Desk, moody: Callable[[str], None]
) -> Callable[..., Outcome]:
    """Three datapoints wait for a sink whose key is refused."""
    moody("locked")
    desk.add_frames(3)
    result = al("run", "al.yaml", "--json")
    assert result.status == 1, result.err
    return al
