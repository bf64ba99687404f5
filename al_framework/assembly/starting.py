"""Build and start one component of the configuration, whatever its kind."""

import hashlib
import logging
import re
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from al_framework.api import AlFrameworkError, Clock, Component, ComponentError, Context
from al_framework.api._faults import named_text_of, plugin_errors, text_of
from al_framework.assembly.guarding import masked_error
from al_framework.assembly.log_masking import LogMask
from al_framework.assembly.masking import Mask
from al_framework.config.models import ComponentEntry

logger = logging.getLogger(__name__)

CLOSE_S = 10.0  # for a file that is written, a connection that says good-bye
# Once one has hung, for what hangs together often hangs for one reason: a network that is gone.
NEXT_CLOSE_S = 1.0


class Starter:
    """Starts components, and has each closed at the end.

    Args:
        clock: Time.
        base_dir: Where relative paths of the configuration start.
        state_root: Holds a directory of its own for each component.
        mask: Knows the secrets of the configuration.
        logs: Keeps them out of the components' logs.
    """

    def __init__(
        self, clock: Clock, *, base_dir: Path, state_root: Path, mask: Mask, logs: LogMask
    ) -> None:
        self._clock = clock
        self._base_dir = base_dir
        self._state_root = state_root
        self._masked = mask
        self._logs = logs
        self._one_has_hung = False

    def start(
        self,
        entry: ComponentEntry | None,
        stack: ExitStack,
        *,
        resume: Callable[[Any], None] | None = None,
    ) -> Any:
        """Build and start one component; what it is follows from the entry's kind.

        Args:
            entry: The component; None starts nothing.
            stack: Takes what closes it.
            resume: Gives it what it knew at the end of the last run.

        Raises:
            ComponentError: It could not be built or started, or not go on from there.
        """
        if entry is None:
            return None
        who = f"{entry.kind.replace('_', ' ')} {entry.name!r} (plugin {entry.plugin!r})"
        context = self._context(entry)
        loggers = (context.logger.name, entry.component.__module__.partition(".")[0])
        self._logs.cover(*loggers)
        try:
            component = entry.component(entry.options, context)
            stack.callback(self._close, component, who)
            component.start()
            if resume is not None:
                resume(component)
        except plugin_errors() as exc:  # a plugin boundary: raised again below
            error = masked_error(exc, self._masked)
        else:
            self._logs.cover(*loggers)  # with those that came with its imports
            return component
        known = isinstance(error, AlFrameworkError | OSError)
        text = text_of(error) if known else named_text_of(error)
        text = text.removeprefix(f"{entry.kind} {entry.name!r}: ")  # it is named already
        remedy = "" if known else ": repair or update the plugin, or use another type"
        # Not above: an error raised there would hold on to the first one as its context.
        raise ComponentError(
            f"{who} could not start: {text}{remedy}", plugin=entry.plugin, component=entry.name
        ) from error

    def state_dir(self, entry: ComponentEntry) -> Path:
        """Return where a component may keep files between runs."""
        # A strategy's name may be any text, as Roboflow allows; only its safe part is a path.
        return self._state_root / _directory_name(entry)

    def _close(self, component: Component[Any], who: str) -> None:
        """Close a component; one that hangs is left behind, for the others must be closed, too."""

        def close() -> None:
            try:
                component.close()
            except plugin_errors():  # a plugin boundary: as above
                logger.exception("%s could not be closed: repair or update the plugin", who)

        thread = threading.Thread(target=close, name="al-close", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down
            close()
            return
        limit_s = NEXT_CLOSE_S if self._one_has_hung else CLOSE_S
        thread.join(limit_s)
        if thread.is_alive():
            text = "%s has not closed within %g s and is left behind: repair or update the plugin"
            logger.error(text, who, limit_s)
            self._one_has_hung = True

    def _context(self, entry: ComponentEntry) -> Context:
        return Context(
            name=entry.name,
            logger=logging.getLogger(f"al_framework.{entry.kind}.{entry.name}"),
            clock=self._clock,
            base_dir=self._base_dir,
            state_dir=self.state_dir(entry),
        )


def _directory_name(entry: ComponentEntry) -> str:
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", entry.name)[:60]
    digest = hashlib.sha256(entry.name.encode()).hexdigest()[:8]
    return f"{entry.kind}-{entry.name if safe == entry.name else f'{safe}-{digest}'}"
