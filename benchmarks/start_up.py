"""What does a command cost before it does anything?

The answer decides whether the command line may be used in scripts and completions: hosts that
import all plugins for a page of help take seconds once one of them imports torch. Each case is a
process of its own; they are compared with a command that does import every plugin.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.measuring import Row

ALL_PLUGINS = "al plugins"
GROUP = "a command in a process of its own"
CONFIGURATION = """\
active_learning:
  enabled: true
  persist_predictions: true
  sampling_strategies:
    - {name: some, type: random, traffic_percentage: 0.1}
  batching_strategy: {batches_name_prefix: al, recreation_interval: never}
sinks:
  - {type: "null"}
"""


def run(*, quick: bool) -> list[Row]:
    """Measure the commands in turns, so that a busy machine hits all alike."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "al.yaml").write_text(CONFIGURATION, encoding="utf-8")
        times = _times(commands(), Path(directory), rounds=3 if quick else 15)
    base = statistics.median(times[ALL_PLUGINS])
    return [
        Row(
            group=GROUP,
            case=case,
            median_us=(median := statistics.median(taken)),
            best_us=min(taken),
            worst_us=max(taken),
            calls=len(taken),
            ratio=base / median,
        )
        for case, taken in times.items()
    ]


def commands() -> Mapping[str, Sequence[str]]:
    """Return what is measured, by name."""
    al = str(Path(sys.executable).with_name("al"))
    return {
        "python -c pass": (sys.executable, "-c", "pass"),
        "al --help": (al, "--help"),
        "al init --help": (al, "init", "--help"),
        ALL_PLUGINS: (al, "plugins"),
        "al check": (al, "check"),
        "al schema": (al, "schema"),
        "al doctor": (al, "doctor"),
    }


def _times(
    cases: Mapping[str, Sequence[str]], directory: Path, *, rounds: int
) -> Mapping[str, list[float]]:
    times: dict[str, list[float]] = {case: [] for case in cases}
    for command in cases.values():
        _cpu_us(command, directory)  # the first run writes what the others read
    for _ in range(rounds):
        for case, command in cases.items():
            times[case].append(_cpu_us(command, directory))
    return times


def _cpu_us(command: Sequence[str], directory: Path) -> float:
    """Return the CPU time of one process, of user and system together, in microseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(  # noqa: S603  # commands of this module
        command, cwd=directory, stdout=subprocess.DEVNULL, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1e6
