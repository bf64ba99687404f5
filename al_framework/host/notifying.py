"""Tell plugins what happened, one by one, so that none can keep the news from another."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from al_framework.api._faults import plugin_errors
from al_framework.host.faults import describe

logger = logging.getLogger(__name__)

NOTIFICATION_HOOKS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "al_run_started": frozenset({"run"}),
        "al_datapoint_delivered": frozenset({"sink", "datapoint", "receipt"}),
        "al_run_finished": frozenset({"summary"}),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One plugin's implementation of a notification.

    Attributes:
        label: The plugin with its distribution, for messages.
        hook: Name of the notification.
        function: The implementation.
        arguments: Which of the notification's arguments it takes.
    """

    label: str
    hook: str
    function: Callable[..., object]
    arguments: tuple[str, ...]


class Notifier:
    """Calls listeners in the order in which their plugins were loaded; safe on any thread."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners: dict[str, list[Listener]] = {hook: [] for hook in NOTIFICATION_HOOKS}
        for listener in listeners:
            self._listeners[listener.hook].append(listener)
        # Without a lock, which the child of a fork could find taken: at worst one count is lost.
        self._failures: Counter[tuple[str, str]] = Counter()

    def notify(self, hook: str, arguments: Mapping[str, object]) -> None:
        """Call every listener of one hook; what they raise is logged and goes no further.

        Raises:
            ValueError: There is no such notification, or its arguments are others.
        """
        if NOTIFICATION_HOOKS.get(hook) != frozenset(arguments):
            raise ValueError(f"there is no notification {hook}({', '.join(sorted(arguments))})")
        for listener in self._listeners[hook]:
            try:
                listener.function(**{name: arguments[name] for name in listener.arguments})
            except plugin_errors() as exc:
                self._log(listener, exc)

    def _log(self, listener: Listener, exc: BaseException) -> None:
        """Log the first error with its traceback; ten thousand deliveries fail alike."""
        key = listener.label, listener.hook
        self._failures[key] += 1
        count = self._failures[key]
        label, hook = key
        if count == 1:
            logger.error("%s: %s failed, the run goes on", label, hook, exc_info=exc)
        else:
            logger.debug("%s: %s failed %d times: %s", label, hook, count, describe(exc))
