"""``${NAME}`` and ``file:PATH``: what a configuration refers to instead of holding it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from al_framework.config.faults import FaultLog
from al_framework.config.paths import KeyPath

FILE_PREFIX = "file:"
HIDDEN = "***"
_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_OPEN_ADDRESS = re.compile(r"(rediss?|unix)://[^@]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_SECRET_BYTES = 65536


def substitute(data: Any, environ: Mapping[str, str], log: FaultLog) -> Any:
    """Return the data with every ``${NAME}`` replaced from the environment; ``$${`` means ``${``.

    What comes from the environment stays text: ``"${WORKERS}"`` is no number.
    """
    return _substitute(data, (), environ, log)


def _substitute(data: Any, path: KeyPath, environ: Mapping[str, str], log: FaultLog) -> Any:
    if isinstance(data, Mapping):
        return {k: _substitute(v, (*path, k), environ, log) for k, v in data.items()}
    if isinstance(data, list):
        return [_substitute(item, (*path, i), environ, log) for i, item in enumerate(data)]
    if not isinstance(data, str) or "${" not in data:
        return data

    def value_of(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name, closed = match[1], match[2]
        # What stands there is not shown: it may be part of a password.
        if not closed:
            log.add(path, "holds a ${ without its }; write $${ for a plain ${")
        elif not _NAME.fullmatch(name):
            log.add(
                path, "holds a ${…} that names no environment variable; write $${ for a plain ${"
            )
        elif name not in environ:
            log.add(path, f"the environment variable {name} is not set")
        else:
            log.keep_secret(environ[name])
            return environ[name]
        return match[0]

    return _REFERENCE.sub(value_of, data)


def secret_from_file(name: str, at: KeyPath, base_dir: Path, log: FaultLog) -> str | None:
    """Return what a file holds, without the line end; None after a fault.

    Args:
        name: What stands behind ``file:``.
        at: Where in the document.
        base_dir: Where relative paths start.
        log: Takes the fault.
    """
    path = base_dir / Path(name).expanduser()
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_SECRET_BYTES + 1)
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        log.add(at, f"the secret file {str(path)!r} is not text in UTF-8")
    except (OSError, ValueError, RuntimeError) as exc:  # a NUL in the name; no home directory
        reason = getattr(exc, "strerror", None) or str(exc)
        log.add(at, f"the secret file {str(path)!r} cannot be read: {reason}")
    else:
        if len(content) > _MAX_SECRET_BYTES:
            log.add(at, f"the secret file {str(path)!r} is larger than 64 KiB")
        elif not text:
            log.add(at, f"the secret file {str(path)!r} is empty")
        else:
            return text
    return None


def secret_values(options: BaseModel) -> tuple[str, ...]:
    """Return every secret that a component's options hold, in their order."""
    return tuple(_values(options.model_dump()))


def _values(data: Any) -> Iterator[str]:
    if isinstance(data, SecretStr):
        yield data.get_secret_value()
    elif isinstance(data, SecretBytes):
        yield data.get_secret_value().decode(errors="replace")
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from _values(value)
    elif isinstance(data, list | tuple | set | frozenset):
        for value in data:
            yield from _values(value)


def hidden(data: Any, places: set[KeyPath]) -> Any:
    """Return a copy of the data in which literal secrets are blanked out.

    References stay: they say which secret, not what it is.
    """
    return _hidden(data, places, ())


def _hidden(data: Any, places: set[KeyPath], path: KeyPath, *, secret: bool = False) -> Any:
    secret = secret or path in places
    if isinstance(data, Mapping):
        return {k: _hidden(v, places, (*path, k), secret=secret) for k, v in data.items()}
    if isinstance(data, list):
        return [_hidden(v, places, (*path, i), secret=secret) for i, v in enumerate(data)]
    if not secret or data is None:
        return data
    is_reference = isinstance(data, str) and _is_reference(data)
    return data if is_reference else HIDDEN


def is_literal(written: str) -> bool:
    """Tell whether a secret stands there itself, and nothing that refers to one.

    The address of a Redis server is none if it holds no password.
    """
    if not written or "${" in written or written.startswith(FILE_PREFIX):
        return False
    return _OPEN_ADDRESS.fullmatch(written) is None


def _is_reference(text: str) -> bool:
    whole = re.fullmatch(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", text)
    return whole is not None or text.startswith(FILE_PREFIX)
