"""The way to a Redis server: short waits, no waiting at all while it is down, and no secret told.

What the client's errors hold may include the password (a server repeats the arguments of a command
that it does not know), so none of them leaves this module.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from al_framework.api import Clock, require
from al_framework.pipeline.limits.base import LedgerUnavailableError

logger = logging.getLogger(__name__)

TIMEOUT_S: Final = 0.5
REST_S: Final = 3.0
_SHORTEST_SECRET: Final = 4  # a shorter one would blank out half of every message


class RedisLink:
    """Runs scripts on one server, for one thread at a time.

    One failure costs the call that met it and no other: a server that writes to its disk may be
    late once. After a second one in a row it is left alone for a few seconds, in which every call
    fails at once; then the next call tries it again.

    Args:
        url: The server's address.
        scripts: Lua by name.
        clock: Time.

    Attributes:
        name: What messages call the server: host and port, or the path of its socket.

    Raises:
        MissingExtraError: The package redis is not installed.
    """

    def __init__(self, url: str, scripts: Mapping[str, str], *, clock: Clock) -> None:
        self._redis: Any = require("redis", extra="redis")
        self._url = url
        self._sources = scripts
        self._clock = clock
        parts = urlsplit(url)
        where = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
        self.name = f"limits server {where!r}"
        password = parts.password or ""
        given = (password, unquote(password))  # the user's name is none, and may be any word
        self._secrets = [value for value in given if len(value) >= _SHORTEST_SECRET]
        self._client: Any = None
        self._inherited: Any = None
        self._scripts: dict[str, Any] = {}
        self._down: str | None = None
        self._rests_until = float("-inf")
        self._is_known = False

    def run(self, script: str, keys: Sequence[str], arguments: Sequence[object]) -> list[int]:
        """Run a script and return its numbers.

        Raises:
            LedgerUnavailableError: The server does not answer, or refuses.
        """
        now = self._clock.monotonic()
        if self._down is not None and now < self._rests_until:
            raise LedgerUnavailableError(
                f"{self.name}: it is left alone for {self._rests_until - now:.1f} s more after"
                f" {self._down}"
            )
        try:
            numbers = _numbers(self._call(script, keys, arguments))
        except (self._redis.RedisError, OSError, ValueError) as exc:
            failure = self._describe(exc)
        else:
            self._note_up()
            return numbers
        # Not in the handler: the client's error, and all that its frames hold, would hang on ours.
        self._note_down(failure)
        raise LedgerUnavailableError(
            f"{self.name}: {failure}; nothing is taken until it answers: check that it runs, that"
            " it can be written, and `limits.redis_url`"
        )

    @property
    def is_down(self) -> bool:
        """Whether it is to be left alone for the moment."""
        return self._down is not None and self._clock.monotonic() < self._rests_until

    @property
    def trouble(self) -> str:
        """Which server does not answer, and why; empty while it does."""
        failure = self._down
        return "" if failure is None else f"{self.name} does not answer as it should ({failure})"

    def close(self) -> None:
        """Close the connection; using the link again opens it again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def abandon(self) -> None:
        """Leave the connection to the parent of a forked process."""
        self._inherited = self._client  # kept: closing it here would end the parent's, too
        self._client, self._is_known = None, False

    def _call(self, script: str, keys: Sequence[str], arguments: Sequence[object]) -> Any:
        client = self._client if self._client is not None else self._connect()
        try:
            return self._scripts[script](keys=keys, args=arguments)
        except self._redis.TimeoutError:
            raise
        except self._redis.ConnectionError:
            # It may have been restarted since; every script may safely run twice.
            client.connection_pool.disconnect()
            return self._scripts[script](keys=keys, args=arguments)

    def _connect(self) -> Any:
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self._client = self._redis.Redis.from_url(
            self._url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),  # by default it would wait for seconds
            protocol=2,
            decode_responses=True,
        )
        register = self._client.register_script
        self._scripts = {name: register(source) for name, source in self._sources.items()}
        return self._client

    def _note_down(self, failure: str) -> None:
        if self._down is None:
            text = "%s: %s; frames that need a limit are not taken until it answers"
            logger.warning(text, self.name, failure)
        else:
            self._rests_until = self._clock.monotonic() + REST_S
        self._down = failure
        if self._client is not None:
            # Whatever is on the way would be taken for the answer to the next question.
            self._client.connection_pool.disconnect()

    def _note_up(self) -> None:
        if self._down is not None:
            logger.warning("%s: it answers again", self.name)
        self._down = None
        if not self._is_known:
            self._is_known = True
            self._warn_of_forgetting()

    def _warn_of_forgetting(self) -> None:
        """Say so if the server may lose credits; servers that tell nothing are believed."""
        try:
            told = {**self._client.info("persistence"), **self._client.info("memory")}
        except (self._redis.RedisError, OSError) as exc:
            logger.debug("%s: cannot be asked what it keeps: %s", self.name, self._describe(exc))
            return
        if not told.get("aof_enabled", 1):
            logger.warning(
                "%s: it keeps no append-only file, so a restart of it may grant credits a second"
                " time; set `appendonly yes`",
                self.name,
            )
        policy = told.get("maxmemory_policy", "noeviction")
        if told.get("maxmemory") and policy != "noeviction":
            logger.warning(
                "%s: its maxmemory-policy %r may throw credits away, which are then granted a"
                " second time; set `maxmemory-policy noeviction`",
                self.name,
                policy,
            )

    def _describe(self, exc: Exception) -> str:
        text = f"{type(exc).__name__}: {exc}".rstrip(".")
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _numbers(reply: Any) -> list[int]:
    return [int(number) for number in (reply if isinstance(reply, list) else [reply])]
