"""What does a run over a folder cost beside the model, and does it grow with the folder?

The answer decides whether an archive of millions of pictures can be looked through. A run here is
what ``al run`` does, with everything that it writes. It goes on only while it is its turn, so that
the bare loop over the same pictures can be measured in between: read, decode, score, and nothing
else. The second question leaves the decoding out, since it would hide what grows.
"""

import functools
import io
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import PIL.Image

import al_framework_local
import al_framework_roboflow
from al_framework.api import Detections, Frame, FrameKey, Image, Predictor
from al_framework.assembly import Assembly, assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.testing import make_host
from al_framework_local.source import DirectorySource
from benchmarks import frames
from benchmarks.comparing import Case, Comparison, Cost, Target, compare

SIZES = {"640x480": (640, 480), "1080p": frames.SIZES["1080p"]}
SMALL = (64, 64)
KINDS = 16  # pictures that differ; the others of a folder are further names of these
TAKEN = 0.01
TURN = 500
SHORT, LONG = 1_000, 100_000
PATIENCE_S = 60.0


class Score(Predictor):
    """A model that costs next to nothing: how bright a picture is."""

    type_name = "score"

    def predict(self, frame: Frame) -> Detections:
        """Read the pixels of a frame, and find what it always finds."""
        score(frame.image.pixels())
        return found(frame.image.size)


class Count(Predictor):
    """A model that reads no pixels: it counts frames."""

    type_name = "count"

    def start(self) -> None:
        """Begin to count."""
        self.frames = 0

    def predict(self, frame: Frame) -> Detections:
        """Count a frame, and find what it always finds."""
        self.frames += 1
        return found(frame.image.size)


def run(*, quick: bool) -> list[Comparison]:
    """Compare runs with the bare loop, with less of themselves, and a long one with short ones."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        return [
            *_beside_the_model(root, quick=quick),
            *_where_the_rest_goes(root, quick=quick),
            *_growing(root, quick=quick),
        ]


@functools.cache
def found(size: tuple[int, int]) -> Detections:
    """Return ten sure detections, which only chance takes."""
    return frames.arrays(size)


def score(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> float:
    """Return how bright a picture is, from a few of its pixels."""
    return float(pixels[::8, ::8].mean())


def decode_and_score(data: bytes) -> float:
    """Do what has to be done with a picture, and nothing else."""
    return score(np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB")))


def _beside_the_model(root: Path, *, quick: bool) -> list[Comparison]:
    rows = []
    turns, turn = (3, 20) if quick else (20, TURN)
    for name, size in SIZES.items():
        folder = Folder(root / name, size, turns * turn)
        with assembled(folder, "score", root / f"spool-{name}") as assembly:
            case = Case(
                group="offline run, decode and score, 1 % taken; the floor is the bare loop",
                name=f"{turns * turn:,} JPEGs of {name}",
                ours=Run(assembly).go_on,
                floor=BareLoop(folder, decode_and_score).go_on,
                targets=[Target(1 / 0.9, "floor"), Target(1 / 0.9, "floor", "wall")],
                calls=turn,
            )
            (one,) = compare([case], quick=quick, rounds=turns)
            counts = assembly.counts()
        speed = f"{1e6 / one.ours.cpu_us:,.0f} a second and core"
        outputs = {"pictures": speed, "taken": f"{counts.accepted} of {counts.offered}"}
        rows.append(replace(one, outputs=outputs))
    return rows


def _where_the_rest_goes(root: Path, *, quick: bool) -> list[Comparison]:
    turns, turn = (3, 20) if quick else (20, TURN)
    folder = Folder(root / "rest", SMALL, turns * turn)
    with ExitStack() as opened:
        whole, again, dry = (
            opened.enter_context(
                assembled(folder, "count", root / f"spool-rest-{n}", dry_run=n == 2)
            )
            for n in range(3)
        )
        sides = {
            "the whole run": Run(whole),
            "--again: no look at what was there before": Run(again, again=True),
            "--dry-run: nothing read, nothing written": Run(dry),
        }
        cases = [
            Case(
                group="where the rest goes, 64 px, nothing decoded; the floor reads the files",
                name=name,
                ours=run.go_on,
                floor=BareLoop(folder, len).go_on,
                calls=turn,
            )
            for name, run in sides.items()
        ]
        return compare(cases, quick=quick, rounds=turns)


def _growing(root: Path, *, quick: bool) -> list[Comparison]:
    short, long = (50, 500) if quick else (SHORT, LONG)
    parts = [long // 10 // short, long * 8 // 10 // short, long // 10 // short]
    folder = Folder(root / "long", SMALL, long)
    runs = ShortRuns(Folder(root / "short", SMALL, short), root)
    with assembled(folder, "count", root / "spool-long") as assembly:
        collecting, rows, done = Run(assembly), list[Comparison](), 0
        for turns in parts:
            first, done = done + 1, done + turns * short
            case = Case(
                group=f"how a run grows, 64 px, 1 % taken; the floor is a run of {short:,}",
                name=f"frames {first:,} to {done:,}",
                ours=collecting.go_on,
                floor=runs.once,
                targets=[Target(1.1, "floor"), Target(1.1, "floor", "wall")],
                calls=short,
            )
            rows += compare([case], quick=False, rounds=turns)
    return rows


class Folder:
    """A directory of JPEGs.

    Args:
        path: Where to make it.
        size: Of the pictures.
        count: How many names it has.
    """

    def __init__(self, path: Path, size: tuple[int, int], count: int) -> None:
        self.path = path
        path.mkdir()
        kinds = _pictures(size)
        for n in range(count):
            name = path / f"{n:06d}.jpg"
            if n < KINDS:
                name.write_bytes(kinds[n])
            else:
                os.link(path / f"{n % KINDS:06d}.jpg", name)


class BareLoop:
    """Reads the pictures of a folder, and does one thing with each.

    Args:
        folder: The folder.
        look: What is done with the bytes of a file.
    """

    def __init__(self, folder: Folder, look: Callable[[bytes], object]) -> None:
        self._names = iter(sorted(folder.path.iterdir()))
        self._look = look

    def go_on(self, number: int) -> Cost:
        """Take the next few."""
        names = list(islice(self._names, number))
        wall, cpu = time.perf_counter(), time.process_time()
        for name in names:
            with name.open("rb") as stream:
                self._look(stream.read())
        return Cost(cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall)


class InTurns(DirectorySource):
    """A source that stops after each turn, and goes on from there.

    Attributes:
        turn: How many pictures the next one has.
    """

    type_name = "in_turns"
    turn = 0

    def frames(self, skip: Callable[[FrameKey], bool]) -> Iterator[Frame]:
        """Yield the next few pictures."""
        if self._rest is None:
            self._rest = super().frames(skip)
        yield from islice(self._rest, self.turn)

    _rest: Iterator[Frame] | None = None


class Run:
    """A run over a folder that goes on only when it is told to.

    Args:
        assembly: What it is made of.
        again: Whether frames are offered that were there before, too.
    """

    def __init__(self, assembly: Assembly, *, again: bool = False) -> None:
        self._assembly = assembly
        self._runner = assembly.runner(again=again, wait_for_room=lambda: False)

    def go_on(self, number: int) -> Cost:
        """Take the next few frames, and deliver what was taken."""
        cast("InTurns", self._assembly.sources[0].source).turn = number
        wall, cpu = time.perf_counter(), time.process_time()
        self._runner.run(self._assembly.sources, stop=threading.Event(), progress=lambda _: None)
        if self._assembly.delivery is not None:
            self._assembly.delivery.drain(PATIENCE_S)
        return Cost(cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall)


class ShortRuns:
    """Runs over one folder, each as if it were the first.

    Args:
        folder: The folder.
        root: Where the spools go.
    """

    def __init__(self, folder: Folder, root: Path) -> None:
        self._folder = folder
        self._root = root

    def once(self, number: int) -> Cost:
        """Run over the folder; start and end of the run are not measured."""
        with (
            tempfile.TemporaryDirectory(dir=self._root) as spool,
            assembled(self._folder, "count", Path(spool)) as assembly,
        ):
            return Run(assembly).go_on(number)


@contextmanager
def assembled(
    folder: Folder, predictor: str, spool: Path, *, dry_run: bool = False
) -> Iterator[Assembly]:
    """Yield what ``al run`` makes of a configuration."""
    host = make_host(
        InTurns, Score, Count, local=al_framework_local, roboflow=al_framework_roboflow
    )
    strategies = [*frames.strategies(3), {"name": "some", "type": "random"}]
    strategies[-1]["traffic_percentage"] = TAKEN
    configuration = {
        "name": "benchmark",
        "seed": 1,
        "sources": [{"name": "folder", "type": "in_turns", "path": str(folder.path)}],
        "predictor": {"type": predictor},
        "active_learning": frames.document(strategies),
        "sinks": [{"type": "null"}],
        "spool": {"path": str(spool)},
    }
    loaded = load_configuration(read_document(configuration), host)
    assembly = assemble(loaded, host, with_sources=True, dry_run=dry_run)
    try:
        yield assembly
    finally:
        assembly.finish(deadline_s=PATIENCE_S)


def _pictures(size: tuple[int, int]) -> Sequence[bytes]:
    """Return pictures of that size that differ: one photograph, moved along."""
    pictures = []
    for n in range(KINDS):
        buffer = io.BytesIO()
        moved = np.roll(Image(frames.photograph(size)).pixels("rgb"), n * size[0] // KINDS, axis=1)
        PIL.Image.fromarray(moved).save(buffer, "JPEG", quality=frames.QUALITY)
        pictures.append(buffer.getvalue())
    return pictures
