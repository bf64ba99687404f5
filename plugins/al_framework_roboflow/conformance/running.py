"""Run the vector files of a directory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from al_framework_roboflow.conformance.kinds import KINDS
from al_framework_roboflow.conformance.reading import SUFFIX, VectorFileError, read_vectors
from al_framework_roboflow.conformance.verdicts import Tally, tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a directory of vectors shows.

    Attributes:
        files: What became of the cases, by kind.
        absent: The kinds that the directory has no file of.
        unknown: Vector files of no kind that is known here.
    """

    files: Mapping[str, Tally]
    absent: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def failed(self) -> int:
        """How many cases failed."""
        return sum(len(counts.failures) for counts in self.files.values())


def run_directory(
    directory: Path, *, on_file: Callable[[str], object] = lambda _name: None
) -> Outcome:
    """Run every file in a directory that has a known name.

    Args:
        directory: Where the files are.
        on_file: Told of each file before it is run.

    Raises:
        VectorFileError: There is no such directory, no such file in it, or one cannot be read.
    """
    if not directory.is_dir():
        raise VectorFileError(f"{directory}: is no directory: name one that holds vector files")
    found = {path.stem: path for path in sorted(directory.glob(f"*{SUFFIX}"))}
    names = [name for name in KINDS if name in found]
    if not names:
        known = ", ".join(f"{name}{SUFFIX}" for name in KINDS)
        raise VectorFileError(f"{directory}: holds no vector file: they are called {known}")
    files = {}
    for name in names:
        on_file(name)
        files[name] = tally(KINDS[name], read_vectors(found[name]))
    return Outcome(
        files=files,
        absent=tuple(name for name in KINDS if name not in found),
        unknown=tuple(path.name for name, path in found.items() if name not in KINDS),
    )
