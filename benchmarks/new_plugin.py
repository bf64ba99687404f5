"""How long does it take from a plugin's name to a run in which it takes part?

The answer decides whether people write plugins at all. Everything is what an author types, with
pip as it comes, in one environment that has al-framework's wheel and nothing else; making that
environment is not counted. The figures are wall time, downloads of pip's included.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.amounts import Amount

ROOT = Path(__file__).resolve().parents[1]
GROUP = "from a name to a run with the plugin, wall time of the slowest kind"
TARGET_S = 60.0
KINDS = ("strategy", "sink", "source", "adapter", "predictor")
ALL = "all four"


def run(*, quick: bool) -> list[Amount]:
    """Measure the four commands of an author, for a plugin of each kind."""
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        environment = _environment(Path(directory))
        for kind in KINDS[:1] if quick else KINDS:
            seconds = {
                step: _wall_s(command, directory=Path(directory), environment=environment)
                for step, command in _commands(f"hello-{kind}", kind).items()
            }
            for step, second in {**seconds, ALL: sum(seconds.values())}.items():
                taken.setdefault(step, []).append(second)
    return [
        Amount(
            group=GROUP,
            case=step,
            unit="s",
            ours=max(found),
            at_most=TARGET_S if step == ALL else None,
            compared=False,
        )
        for step, found in taken.items()
    ]


def _commands(name: str, kind: str) -> Mapping[str, Sequence[str]]:
    return {
        "al new-plugin": ("al", "new-plugin", name, "--kind", kind),
        "pip install": ("pip", "install", f"./{name}"),
        "al plugins": ("al", "plugins"),
        "al run": ("al", "run", f"{name}/example/al.yaml"),
    }


def _environment(directory: Path) -> Path:
    """Make an environment of the built wheel, and return where its commands are."""
    target = directory / "environment"
    _run("uv", "build", "--wheel", "--quiet", "--out-dir", str(directory / "dist"), str(ROOT))
    (wheel,) = (directory / "dist").glob("*.whl")
    _run("uv", "venv", "--quiet", "--seed", str(target))
    _run("uv", "pip", "install", "--quiet", "--python", str(target / "bin/python"), str(wheel))
    return target / "bin"


def _wall_s(command: Sequence[str], *, directory: Path, environment: Path) -> float:
    name, *arguments = command
    start = time.perf_counter()
    _run(str(environment / name), *arguments, directory=directory)
    return time.perf_counter() - start


def _run(*command: str, directory: Path | None = None) -> None:
    # Neither this checkout nor the environment around it may be seen by the new one.
    inherited = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    subprocess.run(  # noqa: S603  # commands of this module
        command, cwd=directory, env=inherited, stdout=subprocess.DEVNULL, check=True
    )
