"""Carry the state of a stateful strategy from one run to the next."""

import json
import logging
import os
from pathlib import Path

from al_framework.api import AlFrameworkError, Strategy
from al_framework.api._faults import named_text_of, plugin_errors

logger = logging.getLogger(__name__)


def load_state(strategy: Strategy, source: str) -> None:
    """Give a stateful strategy what it knew of a source; one whose file is torn begins anew.

    Raises:
        AlFrameworkError: The strategy refuses it, as it may once a new version keeps other things.
    """
    if not strategy.stateful:
        return
    path = _file(strategy, source)
    if not path.is_file():
        return
    try:
        state = json.loads(path.read_text())
    except (OSError, ValueError) as exc:  # torn by a power cut, say
        name = strategy.context.name
        logger.warning("the state of strategy %r cannot be read (%s): it begins anew", name, exc)
        return
    try:
        strategy.load_state_dict(state)
    except plugin_errors() as exc:  # a plugin boundary: the run does not begin
        raise AlFrameworkError(
            f"it refuses the state in '{path}' ({named_text_of(exc)}): repair or update the"
            " plugin, or remove that file to begin anew"
        ) from exc


def save_state(strategy: Strategy, source: str) -> None:
    """Keep what a stateful strategy knows of a source; never raises."""
    if not strategy.stateful:
        return
    path = _file(strategy, source)
    try:
        # The one above by itself: for parents, mkdir leaves the permissions to the umask.
        path.parent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(partial, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps(strategy.state_dict()))
        partial.replace(path)
    except plugin_errors():  # a plugin boundary: the state is a convenience, the run is over
        logger.exception(
            "the state of strategy %r could not be kept, so the next run begins anew: repair or"
            " update its plugin",
            strategy.context.name,
        )


def _file(strategy: Strategy, source: str) -> Path:
    return strategy.context.state_dir / f"{source.encode().hex() or 'submitted'}.json"
