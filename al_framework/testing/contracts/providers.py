"""What holds for configuration providers."""

import json
import math
from abc import abstractmethod
from pathlib import Path
from typing import Any

from al_framework.api import ConfigurationProvider, ProvidedConfiguration, Target
from al_framework.testing._checks import check, secrets_of
from al_framework.testing.contracts.component import ComponentContract


class ConfigurationProviderContract(ComponentContract[ConfigurationProvider[Any]]):
    """What holds for a configuration provider: it asks, and says truly what it was told.

    Name the class, set up a server that answers, and say how it goes away::

        class TestMyProvider(ConfigurationProviderContract):
            component = MyProvider

            def prepare(self, directory):
                self.server = start_server()
                return {"url": self.server.url, "api_key": "canary-0123456789"}

            def break_server(self):
                self.server.stop()

    Besides what holds for every component: answers are well-formed and the same while nothing has
    changed; the identity is stable; a server that cannot be reached is an error; and neither
    identity, answer nor error tells a secret.
    """

    _kind = "configuration_provider"

    @abstractmethod
    def break_server(self) -> None:
        """Make the server unreachable, or call `pytest.skip` with why that cannot be done."""

    def test_answers_are_well_formed(self, tmp_path: Path) -> None:
        """Whether the host can put the answer in force, keep it on disk, and ask again in time."""
        answer = self._fetched(self._started(tmp_path))
        document, reason = answer.document, answer.reason
        check(isinstance(reason, str), f"reason is {reason!r}: it has to be a str")
        check(
            document is not None or reason,
            "there is no document and no reason: say why collection is off",
        )
        good = document is None or _is_json(document)
        check(good, f"the document is not what JSON can express: {document!r:.200}")
        target = answer.target
        check(isinstance(target, Target), f"target is {target!r}: it has to be a Target")
        seconds: object = answer.refresh_after_s
        check(
            isinstance(seconds, int | float) and math.isfinite(seconds) and seconds > 0,
            f"refresh_after_s is {seconds!r}: it has to be a positive number",
        )

    def test_equal_answers_are_equal(self, tmp_path: Path) -> None:
        """Whether a document that has not changed is not taken for a new one."""
        provider = self._started(tmp_path)
        first, second = self._fetched(provider), self._fetched(provider)
        check(first == second, f"the answers differ: {first!r:.200} and {second!r:.200}")

    def test_identity_is_stable_and_tells_no_secret(self, tmp_path: Path) -> None:
        """Whether the next run finds the last document, and nobody finds the key."""
        options = self._prepared(tmp_path)
        one, other = self.build(tmp_path, options), self.build(tmp_path, options)
        identity: object = one.identity
        check(isinstance(identity, str), f"identity is {identity!r}: it has to be a str")
        check(identity == other.identity, "identity changes from one instance to the next")
        told = [secret for secret in secrets_of(one.options) if secret in str(identity)]
        check(not told, "identity tells a secret: make a hash of it")

    def test_an_answer_tells_no_secret(self, tmp_path: Path) -> None:
        """Whether the answer can be logged and kept."""
        provider = self._started(tmp_path)
        told = [
            secret
            for secret in secrets_of(provider.options)
            if secret in repr(self._fetched(provider))
        ]
        check(not told, "the answer tells a secret")

    def test_an_unreachable_server_is_an_error_without_secrets(self, tmp_path: Path) -> None:
        """Whether the last document can hold while the server is away: no answer is an error."""
        provider = self._started(tmp_path)
        self.break_server()
        try:
            answer = provider.fetch()
        except Exception as exc:  # noqa: BLE001 - whatever a provider raises is logged with its text
            told = [secret for secret in secrets_of(provider.options) if secret in f"{exc} {exc!r}"]
        else:
            raise AssertionError(f"fetch gives {answer!r:.200} though no server answers: raise")
        check(not told, "the error tells a secret")

    def _started(self, directory: Path) -> ConfigurationProvider[Any]:
        provider = self.build(directory)
        provider.start()
        return provider

    @staticmethod
    def _fetched(provider: ConfigurationProvider[Any]) -> ProvidedConfiguration:
        answer: object = provider.fetch()
        if not isinstance(answer, ProvidedConfiguration):
            kind = type(answer).__name__
            raise AssertionError(f"fetch gives a {kind!r}: it has to be a ProvidedConfiguration")  # noqa: TRY004 - a failing check
        return answer


def _is_json(document: object) -> bool:
    try:
        json.dumps(document, allow_nan=False, default=dict)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
