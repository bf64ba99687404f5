"""What a plugin's code may raise without taking the host along, and how it is put into words."""

import sys


def plugin_errors() -> tuple[type[BaseException], ...]:
    """Return what to catch where a plugin's code is called.

    `SystemExit` is among it: a plugin that ends the process is broken, and no more than that. So is
    asyncio's cancellation, no `Exception` either, which can only come from an event loop of the
    plugin's own. `KeyboardInterrupt` is the user's and passes.
    """
    # Looked up, not imported: that takes a tenth of a start, and who raises it has imported it.
    asyncio = sys.modules.get("asyncio.exceptions")
    cancelled: type[BaseException] = getattr(asyncio, "CancelledError", SystemExit)
    return Exception, SystemExit, cancelled


def text_of(value: object) -> str:
    """Return the text of what a plugin has raised or returned, even if that raises in turn."""
    try:
        return str(value)
    except plugin_errors() as failure:
        return f"its text cannot be told ({type(failure).__name__})"


def named_text_of(exc: BaseException) -> str:
    """Return an error with the name of its class."""
    return f"{type(exc).__name__}: {text_of(exc)}"
