"""Collect every fault of a configuration, and raise them as one."""

from collections.abc import Iterable, Mapping

from al_framework.api import ConfigurationError, Fault
from al_framework.config.paths import KeyPath, format_path, position
from al_framework.config.reading import MAPPING_ORIGIN, Document

_SHORTEST_SECRET = 4


class FaultLog:
    """The faults of one document, in whatever order they are found.

    Args:
        document: What is being checked.
        lenient: Whether what is not known here is to be left out instead.

    Attributes:
        lenient: As given.
    """

    def __init__(self, document: Document, *, lenient: bool = False) -> None:
        self.lenient = lenient
        self._document = document
        # Each once, in order; a document can be faulty in a hundred thousand places.
        self._found: dict[tuple[KeyPath, str, str | None], None] = {}
        self._skipped: dict[tuple[KeyPath, str, str | None], None] = {}
        self._places: set[KeyPath] = set()
        self._secrets: set[str] = set()

    def __len__(self) -> int:
        """Return how many faults there are."""
        return len(self._found)

    @property
    def is_of_file(self) -> bool:
        """Whether the document is a file, rather than a mapping that a program has made."""
        return self._document.origin != MAPPING_ORIGIN

    def mentions(self, path: KeyPath) -> bool:
        """Tell whether there is a fault at exactly this place."""
        return path in self._places

    def add(self, path: KeyPath, message: str, *, plugin: str | None = None) -> None:
        """Note one fault; the same one twice counts once."""
        self._found[path, message, plugin] = None
        self._places.add(path)

    def skip(self, path: KeyPath, message: str) -> None:
        """Note one thing that a lenient reading leaves out."""
        self._skipped[path, message, None] = None

    def skipped(self) -> tuple[Fault, ...]:
        """Return what was left out, in the order of the file."""
        return self._as_faults(self._skipped)

    def keep_secret(self, value: str) -> None:
        """Never show this text, whoever puts it into a message.

        A secret of under four letters would blank out half of every message; it stays.
        """
        if len(value) >= _SHORTEST_SECRET:
            self._secrets.add(value)

    def without_secrets(self, text: str) -> str:
        """Return the text with every secret known so far replaced."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def error(self) -> ConfigurationError:
        """Return one error that holds all faults in the order of the file."""
        return ConfigurationError(self._as_faults(self._found), origin=self._document.origin)

    def _as_faults(self, found: Iterable[tuple[KeyPath, str, str | None]]) -> tuple[Fault, ...]:
        data = self._document.data
        known: dict[int, Mapping[str, int]] = {}
        return tuple(
            Fault(
                path=self.without_secrets(format_path(path)),
                message=self.without_secrets(message),
                line=self._document.line_of(format_path(path)),
                plugin=plugin,
            )
            for path, message, plugin in sorted(found, key=lambda e: position(data, e[0], known))
        )
