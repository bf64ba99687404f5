"""Keep the secrets of a configuration out of the log, whoever writes there.

urllib3 logs every address at level DEBUG, and a component logs what it likes. A filter works on the
very logger that a record is made by and on none below it, so each one is covered by itself: ours,
those of the HTTP libraries, and those of the packages that the components come from.
"""

import logging
from collections.abc import Iterable

from al_framework.assembly.masking import Mask

# Named in full: they are made when a component first imports the library, long after the start.
_LIBRARIES = (
    "botocore",
    "redis",
    "requests",
    "urllib3",
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.response",
    "urllib3.util.retry",
)
_FORMATTER = logging.Formatter()


class LogMask:
    """Covers loggers, from its first `cover` until it is closed.

    Args:
        mask: Knows the secrets; where it knows none, no logger is touched.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._filter = _MaskingFilter(mask)
        self._covered: set[str] = set()
        self.cover("al_framework", *_LIBRARIES)

    def cover(self, *names: str) -> None:
        """Cover loggers, and those below them that exist by now."""
        if not self._mask:
            return
        for name in {*names, *_below(names)} - self._covered:
            logging.getLogger(name).addFilter(self._filter)
            self._covered.add(name)

    def close(self) -> None:
        """Leave the loggers as they were."""
        for name in self._covered:
            logging.getLogger(name).removeFilter(self._filter)
        self._covered.clear()


class _MaskingFilter(logging.Filter):
    """Takes secrets out of a record's message, traceback and stack."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._masked = mask

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit: logging would print them all
            text = repr((record.msg, record.args))
            record.msg, record.args = "%s", (text,)
        masked = self._masked(text)
        if masked != text:
            record.msg, record.args = masked, ()
        if record.exc_info and record.exc_info[0] is not None:
            # Without the exception itself: some handlers print the variables of its frames.
            record.exc_text = _FORMATTER.formatException(record.exc_info)
            record.exc_info = None
        if record.exc_text:
            record.exc_text = self._masked(record.exc_text)
        if record.stack_info:
            record.stack_info = self._masked(record.stack_info)
        return True


def _below(names: Iterable[str]) -> list[str]:
    starts = tuple(f"{name}." for name in names)
    return [name for name in list(logging.root.manager.loggerDict) if name.startswith(starts)]
