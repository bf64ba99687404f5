"""Keep the last answer of a configuration provider, for the time before the next run's first one.

A machine that starts while the server is away goes on with what it knew. The answer is kept under
the provider's identity, so that nobody with another key, or for another project, ever finds it.
"""

import hashlib
import json
import logging
import os
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from al_framework.api import ProvidedConfiguration, Target
from al_framework.assembly.masking import Mask

logger = logging.getLogger(__name__)

_MAX_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """An answer from an earlier run.

    Attributes:
        provided: What the provider said.
        at: UTC epoch seconds when it said so last.
    """

    provided: ProvidedConfiguration
    at: float


class Keeper:
    """The file of one provider's last answer.

    Args:
        directory: Where it lies.
        identity: What the documents belong to; empty keeps nothing.
        mask: Knows the secrets, none of which may reach the disk.
        read_only: Whether nothing is to be written, as in a dry run.
    """

    def __init__(self, directory: Path, identity: str, *, mask: Mask, read_only: bool) -> None:
        digest = hashlib.sha256(identity.encode("utf-8", "backslashreplace")).hexdigest()
        self._path = directory / f"last-{digest[:32]}.json" if identity else None
        self._identity = digest
        self._mask = mask
        self._read_only = read_only
        self._told = False

    def read(self) -> KeptAnswer | None:
        """Return the last answer; None if there is none, or none that can be read."""
        if self._path is None:
            return None
        try:
            if not self._path.is_file():
                return None
            with self._path.open("rb") as file:
                values = json.loads(file.read(_MAX_BYTES))
            return self._parsed(values)
        # Torn, tampered with, or another version's: whatever it is, the start goes on.
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as exc:
            logger.warning("the kept document '%s' cannot be read: %s", self._path, exc)
            return None

    def write(self, provided: ProvidedConfiguration, now: float) -> None:
        """Keep an answer in place of the one before; a disk that refuses is told of once."""
        if self._path is None or self._read_only:
            return
        values = {
            "identity": self._identity,
            "at": now,
            "document": provided.document,
            "reason": self._mask(provided.reason),
            "target": asdict(provided.target),
        }
        try:
            text = json.dumps(values, default=dict)  # mappings of any kind
            if self._mask(text) != text:
                raise ValueError("it holds the key itself")
            if len(text) > _MAX_BYTES:  # ASCII
                raise ValueError(f"it is larger than {_MAX_BYTES >> 20} MiB")
            # The one above by itself: for parents, mkdir leaves the permissions to the umask.
            self._path.parent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.parent.mkdir(exist_ok=True, mode=0o700)
            _replace(self._path, text)
        except (OSError, ValueError, TypeError) as exc:
            if not self._told:
                self._told = True
                logger.warning("the document cannot be kept in '%s': %s", self._path, exc)

    def _parsed(self, values: Any) -> KeptAnswer | None:
        if values["identity"] != self._identity:
            return None
        document = values["document"]
        if document is not None and not isinstance(document, dict):
            raise TypeError("its document is no mapping")
        provided = ProvidedConfiguration(
            document=document, reason=str(values["reason"]), target=Target(**values["target"])
        )
        at = float(values["at"])
        datetime.fromtimestamp(at, UTC)  # whoever says when it was needs a date
        return KeptAnswer(provided=provided, at=at)


def _replace(path: Path, text: str) -> None:
    """Write a file so that whoever reads it finds the old content or the new, never a part."""
    # mkstemp makes it readable by nobody else; several processes may share the directory.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
