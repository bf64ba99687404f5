"""Measure CPU time per call, all sides of a comparison in one run."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one call costs.

    Attributes:
        group: The rows that are compared with each other.
        case: What was called.
        median_us: Median over the blocks, process CPU microseconds a call, all threads.
        best_us: The fastest block.
        worst_us: The slowest block.
        calls: Calls measured.
        decodes: Pictures decoded per call.
        ratio: Median of the group's reference over this one: how many times cheaper it is.
    """

    group: str
    case: str
    median_us: float
    best_us: float
    worst_us: float
    calls: int
    decodes: float
    ratio: float


def measure(
    group: str, cases: Mapping[str, Callable[[], object]], *, reference: str, quick: bool
) -> list[Row]:
    """Measure the cases in turns, block by block, so that a busy machine hits all alike.

    Args:
        group: Name of the comparison.
        cases: What to call, by name.
        reference: The case that the others are compared with.
        quick: Whether a rough figure will do.
    """
    blocks, block_s = (5, 0.02) if quick else (25, 0.1)
    decodes = {name: count_decodes(call) for name, call in cases.items()}
    calls = {name: _calls_in(block_s, call) for name, call in cases.items()}
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(blocks):
        for name, call in cases.items():
            times[name].append(_cpu_s(call, calls[name]) / calls[name] * 1e6)
    base = statistics.median(times[reference])
    return [
        Row(
            group=group,
            case=name,
            median_us=(median := statistics.median(taken)),
            best_us=min(taken),
            worst_us=max(taken),
            calls=calls[name] * blocks,
            decodes=decodes[name],
            ratio=base / median,
        )
        for name, taken in times.items()
    ]


def count_decodes(call: Callable[[], object], *, calls: int = 5) -> float:
    """Return how many pictures Pillow decodes per call."""
    call()
    with _counted_decodes() as pictures:
        for _ in range(calls):
            call()
    return len(pictures) / calls


def machine() -> dict[str, str]:
    """Return what the figures were measured on; no name of a host."""
    return {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "pillow": version("pillow"),
        "load": ", ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def _calls_in(seconds: float, call: Callable[[], object]) -> int:
    once = min(_cpu_s(call, 1) for _ in range(3))
    return max(1, min(10_000, int(seconds / max(once, 1e-7))))


def _cpu_s(call: Callable[[], object], calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        call()
    return time.process_time() - start


@contextmanager
def _counted_decodes() -> Iterator[list[object]]:
    import PIL.ImageFile

    # Kept, not counted by id: a picture that is gone could lend its id to the next one.
    pictures: list[object] = []
    load = PIL.ImageFile.ImageFile.load

    def counted(self: PIL.ImageFile.ImageFile) -> Any:
        if self.tile and not any(self is seen for seen in pictures):
            pictures.append(self)
        return load(self)

    PIL.ImageFile.ImageFile.load = counted  # type: ignore[method-assign]  # the point of it
    try:
        yield pictures
    finally:
        PIL.ImageFile.ImageFile.load = load  # type: ignore[method-assign]  # as it was


def _cpu_model() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
