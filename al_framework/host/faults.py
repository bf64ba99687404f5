"""Say in one line what a plugin's code has raised."""

import os
import traceback

from al_framework.api._faults import text_of


def describe(exc: BaseException) -> str:
    """Return an error in one line, with the place in the plugin where it was raised."""
    text = " ".join(text_of(exc).split())
    name = type(exc).__name__
    shown = f"{name}: {text}" if text else name
    if isinstance(exc, SyntaxError):
        return shown  # it tells file and line itself
    ours = os.path.dirname(__file__)  # noqa: PTH120  # frames are strings; no file is touched
    for frame in reversed(traceback.extract_tb(exc.__traceback__)):
        machinery = frame.filename.startswith(("<frozen", ours)) or (
            f"{os.sep}importlib{os.sep}" in frame.filename
        )
        if not machinery:
            file = os.path.basename(frame.filename)  # noqa: PTH119  # as above
            return f"{shown} ({file}, line {frame.lineno})"
    return shown
