"""What a person learns of a configuration that comes from a server, while `al run` works."""

import threading
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from al_framework.assembly import Assembly
from al_framework.assembly.refreshing import Refresher

_POLL_S = 0.05


def await_configuration(
    assembly: Assembly, wait_s: float, *, stop: threading.Event, console: Console, quiet: bool
) -> str | None:
    """Wait for a provider's first answer; return why there is nothing to collect by, or None."""
    refresher = assembly.refresher
    if refresher is None:
        return None
    if not quiet:
        console.print(Text(f"waiting up to {wait_s:g} s for {_who(refresher)}"))
    deadline = assembly.clock.monotonic() + wait_s
    while not refresher.settled and assembly.clock.monotonic() < deadline:
        if stop.wait(_POLL_S):
            return None
    answered, trouble = refresher.answered, refresher.trouble
    because = f" ({trouble})" if trouble else ""
    if assembly.engine.plan is None:
        if answered:
            return f"{_who(refresher)}: its document cannot be used{because}: nothing was collected"
        return (
            f"{_who(refresher)}: no document within {wait_s:g} s{because}: nothing was collected; "
            "look after its server and its key, or wait longer with --wait-for-configuration"
        )
    if refresher.kept_at is not None:
        text = f"{_who(refresher)} has not answered{because}: going on with {_document(refresher)}"
        console.print(Text(text, style="yellow"), soft_wrap=True)
        assembly.engine.report(text, None)
    return None


def describe_configuration(assembly: Assembly) -> str | None:
    """Return which document of which provider is in force; None where it stands in the file."""
    refresher = assembly.refresher
    if refresher is None:
        return None
    left_out = refresher.skipped
    unknown = f", {left_out} unknown entries of it left out" if left_out else ""
    return f"{_who(refresher)}: {_document(refresher)}{unknown}"


def _who(refresher: Refresher) -> str:
    return f"configuration provider {refresher.name!r}"


def _document(refresher: Refresher) -> str:
    if refresher.document_hash is None:
        return "no document"
    if refresher.kept_at is None:
        return f"document {refresher.document_hash}"
    moment = datetime.fromtimestamp(refresher.kept_at, UTC).isoformat(" ", "seconds")
    return f"document {refresher.document_hash}, kept from {moment}"
