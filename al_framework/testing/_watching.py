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
from collections.abc import Callable, Iterator
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
_NOTHING: Callable[..., object] = dict[object, object]().get  # written in C, and does nothing


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
    watch = _watch()
    missing = [name for name in HEAVY_PACKAGES if name not in sys.modules]
    watch.begin(seen)
    try:
        yield seen
    finally:
        watch.end()
        seen += [f"import of {name!r}" for name in missing if name in sys.modules]


class _Watch:
    """An audit hook that runs no Python unless somebody watches.

    It stays until the process ends and is called at every event, among them the start of a thread
    that is traced: another thread that starts while Python runs there cannot be traced any more,
    in CPython 3.11, and dies.
    """

    __call__: Callable[..., object] = _NOTHING

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[int, list[str]] = {}

    def begin(self, seen: list[str]) -> None:
        """Watch the calling thread."""
        with self._lock:
            self._watched[threading.get_ident()] = seen
            type(self).__call__ = self._notice  # type: ignore[method-assign]  # calling looks there

    def end(self) -> None:
        """Watch it no longer."""
        with self._lock:
            del self._watched[threading.get_ident()]
            if not self._watched:
                type(self).__call__ = _NOTHING  # type: ignore[method-assign]  # as above

    def _notice(self, event: str, arguments: tuple[object, ...]) -> None:
        seen = self._watched.get(threading.get_ident())
        touches = event in _EVENTS or event.startswith(_FAMILIES)
        if seen is not None and touches and not _is_importing():
            what = f" of {arguments[0]!r:.100}" if arguments else ""
            seen.append(f"{event}{what}")


@functools.cache  # there must be only one
def _watch() -> _Watch:
    watch = _Watch()
    sys.addaudithook(watch)
    return watch


def _is_importing() -> bool:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to see who asks
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False
