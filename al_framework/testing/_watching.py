"""Notice what a call does besides returning: what it logs, and what it touches outside.

Files, sockets and processes are noticed through the interpreter's audit events.

Why not by replacing ``open`` and ``socket``: whoever has imported them by name, and everything
written in C, would go unnoticed.
"""

import contextlib
import functools
import logging
import sys
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["HEAVY_PACKAGES", "watch_io", "watch_log"]

HEAVY_PACKAGES = (
    "av",
    "cv2",
    "onnxruntime",
    "supervision",
    "tensorflow",
    "torch",
    "torchvision",
    "transformers",
    "ultralytics",
)
_EVENTS = frozenset({"open", "time.sleep", "sqlite3.connect", "urllib.Request"})
_FAMILIES = ("os.", "shutil.", "socket.", "subprocess.", "http.client.", "tempfile.")
_IMPORTING = "<frozen importlib._bootstrap>"


@contextlib.contextmanager
def watch_log() -> Iterator[list[str]]:
    """Collect the text of everything that is logged meanwhile, at every level."""
    shown: list[str] = []
    watch = logging.Handler(logging.DEBUG)
    watch.emit = lambda record: shown.append(record.getMessage())  # type: ignore[method-assign]  # of this one
    root = logging.getLogger()
    level = root.level
    root.addHandler(watch)
    root.setLevel(logging.DEBUG)
    try:
        yield shown
    finally:
        root.removeHandler(watch)
        root.setLevel(level)


@contextlib.contextmanager
def watch_io() -> Iterator[list[str]]:
    """Collect what this thread reads, writes or waits for meanwhile, in words.

    What an import reads does not count, unless it is the import of a heavy package.
    """
    seen: list[str] = []
    watched, thread = _watched(), threading.get_ident()
    missing = [name for name in HEAVY_PACKAGES if name not in sys.modules]
    watched[thread] = seen
    try:
        yield seen
    finally:
        del watched[thread]
        seen += [f"import of {name!r}" for name in missing if name in sys.modules]


@functools.cache  # an audit hook stays until the process ends, so there must be only one
def _watched() -> dict[int, list[str]]:
    watched: dict[int, list[str]] = {}

    def notice(event: str, arguments: tuple[object, ...]) -> None:
        if not watched:
            return
        seen = watched.get(threading.get_ident())
        touches = event in _EVENTS or event.startswith(_FAMILIES)
        if seen is not None and touches and not _is_importing():
            what = f" of {arguments[0]!r:.100}" if arguments else ""
            seen.append(f"{event}{what}")

    sys.addaudithook(notice)
    return watched


def _is_importing() -> bool:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to see who asks
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False
