"""Where the time goes in a case whose target is missed: ``python -m benchmarks.profiles CASE``.

Prints a table in Markdown, for docs/performance.md: the functions with most time of their own. The
profiler makes calls in Python dearer and those of libraries not, so shares of the first are upper
bounds.
"""

import cProfile
import gc
import pstats
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import click

from benchmarks import accepted_frame, frames, offline_run
from benchmarks.comparing import Side
from benchmarks.dry_run import DryRun
from benchmarks.stored import QUALITY

WARM_UP, FRAMES = 50, 500
SHOWN = 12
_SIZE = frames.SIZES["4K"]


@contextmanager
def _accepted(picture: Any, limit: tuple[int, int] | None) -> Iterator[Side]:
    document = frames.document(
        accepted_frame.TAKES_ALL, max_image_size=limit, jpeg_compression_level=QUALITY
    )
    answer = frames.response(_SIZE, detections=accepted_frame.DETECTIONS)
    yield DryRun(document, picture, answer, fast=True)


def _jpeg() -> AbstractContextManager[Side]:
    return _accepted(frames.photograph(_SIZE), None)


def _array() -> AbstractContextManager[Side]:
    return _accepted(frames.pixels(_SIZE), accepted_frame.FULL_HD)


@contextmanager
def _offline() -> Iterator[Side]:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        size = offline_run.SIZES["640x480"]
        folder = offline_run.Folder(root / "pictures", size, WARM_UP + FRAMES)
        with offline_run.assembled(folder, "score", root / "spool") as assembly:
            yield offline_run.Run(assembly).go_on


CASES: Mapping[str, Callable[[], AbstractContextManager[Side]]] = {
    "accepted-jpeg": _jpeg,
    "accepted-array": _array,
    "offline-run": _offline,
}


@click.command()
@click.argument("case", type=click.Choice(sorted(CASES)))
def main(case: str) -> None:
    """Profile CASE and print where its time goes."""
    profiler = cProfile.Profile()
    with CASES[case]() as side:
        side(WARM_UP)
        gc.collect()
        gc.freeze()  # or collecting what was imported would be the work of whoever allocates then
        profiler.enable()
        side(FRAMES)
        profiler.disable()
        gc.unfreeze()
    click.echo(table(pstats.Stats(profiler)))


def table(stats: pstats.Stats) -> str:
    """Return the functions with most time of their own, for each frame."""
    found: Any = stats  # what typeshed says of it stops here
    whole = found.total_tt
    lines = ["| function | calls a frame | of the time |", "| --- | --- | --- |"]
    ranked = sorted(found.stats.items(), key=lambda item: item[1][2], reverse=True)
    for (file, _, name), (_, calls, own, *_) in ranked[:SHOWN]:
        lines.append(f"| `{_named(file, name)}` | {calls / FRAMES:.3g} | {own / whole:.0%} |")
    rest = 1 - sum(own for _, (_, _, own, *_) in ranked[:SHOWN]) / whole
    return "\n".join([*lines, f"| {len(ranked) - SHOWN} others | | {rest:.0%} |"])


def _named(file: str, name: str) -> str:
    if file == "~":  # of a library, which has no file
        return name.strip("<>").removeprefix("built-in method ")
    return f"{Path(file).parent.name}/{Path(file).name}: {name}"


if __name__ == "__main__":
    main()
