"""Configuration providers, each wrong in one way."""

import dataclasses
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field, SecretStr

from al_framework.api import ConfigurationProvider, Options, ProvidedConfiguration, Target
from al_framework.testing import ConfigurationProviderContract

KEY = "the-key-of-the-test"
DOCUMENT = MappingProxyType({"enabled": True, "tags": ("a",)})


class GoodOptions(Options):
    api_key: SecretStr = Field(description="The key.")
    project: str = Field(default="p", description="The project.")


class Good(ConfigurationProvider[GoodOptions]):
    type_name = "good"
    is_away: ClassVar = False
    changes: ClassVar = {}

    @property
    def identity(self):
        return f"hash of {len(self.options.api_key)}"

    def fetch(self):
        if Good.is_away:
            self.fail()
        target = Target(workspace="w", project=self.options.project)
        found = ProvidedConfiguration(document=DOCUMENT, target=target)
        return dataclasses.replace(found, **self.changes)

    def fail(self):
        raise OSError("nobody there")


class ProviderTest(ConfigurationProviderContract):
    component = Good
    options: ClassVar = {"api_key": KEY}

    def prepare(self, directory):
        Good.is_away = False
        return self.options

    def break_server(self):
        Good.is_away = True


def answering(**changes):
    return type("Answering", (Good,), {"changes": changes})


class AnswersWithTheDocument(Good):
    def fetch(self):
        return DOCUMENT


class Counts(Good):
    asked = 0

    def fetch(self):
        self.asked += 1
        return ProvidedConfiguration(document={"asked": self.asked})


class HasNoIdentity(Good):
    identity = None


class IsWhoeverItIs(Good):
    @property
    def identity(self):
        return str(id(self))


class IsItsKey(Good):
    @property
    def identity(self):
        return f"p {self.options.api_key.get_secret_value()}"


class TellsItsKey(Good):
    def fetch(self):
        text = f"{self.options.api_key.get_secret_value()} has no access"
        return ProvidedConfiguration(document=None, reason=text)


class SwitchesOffWhenAlone(Good):
    def fail(self):
        pass


class FailsWithItsKey(Good):
    def fail(self):
        raise OSError(f"GET /?key={self.options.api_key.get_secret_value()}")


WELL_FORMED = "answers_are_well_formed"


CONTRACTS = (ProviderTest,)
WRONG = [
    (
        ProviderTest,
        AnswersWithTheDocument,
        WELL_FORMED,
        "fetch gives a 'mappingproxy': it has to be a Prov",
    ),
    (ProviderTest, answering(reason=None), WELL_FORMED, "reason is None: it has to be a str"),
    (
        ProviderTest,
        answering(document=None),
        WELL_FORMED,
        "there is no document and no reason: say why",
    ),
    (
        ProviderTest,
        answering(document={"a": float("nan")}),
        WELL_FORMED,
        "the document is not what JSON can express: {'a': nan}",
    ),
    (ProviderTest, answering(target="w/p"), WELL_FORMED, "target is 'w/p': it has to be a Target"),
    (
        ProviderTest,
        answering(refresh_after_s=0),
        WELL_FORMED,
        "refresh_after_s is 0: it has to be a positive number",
    ),
    (
        ProviderTest,
        answering(refresh_after_s="9"),
        WELL_FORMED,
        "refresh_after_s is '9': it has to be a positive number",
    ),
    (ProviderTest, Counts, "equal_answers_are_equal", "the answers differ: ProvidedConfiguration"),
    (
        ProviderTest,
        HasNoIdentity,
        "identity_is_stable_and_tells_no_secret",
        "identity is None: it has to be a str",
    ),
    (
        ProviderTest,
        IsWhoeverItIs,
        "identity_is_stable_and_tells_no_secret",
        "identity changes from one instance to the next",
    ),
    (
        ProviderTest,
        IsItsKey,
        "identity_is_stable_and_tells_no_secret",
        "identity tells a secret: make a hash of it",
    ),
    (ProviderTest, TellsItsKey, "an_answer_tells_no_secret", "the answer tells a secret"),
    (
        ProviderTest,
        SwitchesOffWhenAlone,
        "an_unreachable_server_is_an_error_without_secrets",
        "fetch gives ProvidedConfiguration.* though no server answers: raise",
    ),
    (
        ProviderTest,
        FailsWithItsKey,
        "an_unreachable_server_is_an_error_without_secrets",
        "the error tells a secret",
    ),
]
