"""Components, each wrong in a way in which one of any kind can be; these are strategies."""

from pydantic import BaseModel, Field, SecretStr

from al_framework.api import Options, Strategy, Verdict
from al_framework.testing import StrategyContract


class GoodStrategy(Strategy):
    type_name = "good"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


class ComponentTest(StrategyContract):
    component = GoodStrategy


class BadTypeName(GoodStrategy):
    type_name = "Not-A-Name"


class UndescribedOptions(Options):
    level: float = 0.5


class UndescribedOption(GoodStrategy):
    Options = UndescribedOptions


class ReservedOptions(Options):
    tags: str = Field(default="", description="Taken.")


class ReservedOption(GoodStrategy):
    Options = ReservedOptions


class IsAwaited(GoodStrategy):
    async def evaluate(self, frame, prediction):
        return Verdict(match=True)


class LooseOptions(BaseModel):
    level: float = Field(default=0.5, description="A number.")


class AnyOption(GoodStrategy):
    Options = LooseOptions


class CloseNeedsStart(GoodStrategy):
    def start(self):
        self.file = object()

    def close(self):
        assert hasattr(self, "file"), "there is no file"


class ClosesOnce(GoodStrategy):
    is_closed = False

    def close(self):
        assert not self.is_closed, "it is closed already"
        self.is_closed = True


class BareSecretOptions(Options):
    api_key: str = Field(default="k-canary", description="The key.")


class BareSecret(GoodStrategy):
    Options = BareSecretOptions


class ShownSecretOptions(BaseModel):
    api_key: SecretStr = Field(default=SecretStr("k-canary"), description="The key.")

    def __repr__(self):
        return f"api_key={self.api_key.get_secret_value()}"


class ShownSecret(GoodStrategy):
    Options = ShownSecretOptions


CONTRACTS = ()  # what is right is in the modules of the kinds
WRONG = [
    (ComponentTest, CloseNeedsStart, "close_is_safe_without_start", "there is no file"),
    (ComponentTest, ClosesOnce, "close_is_safe_twice", "it is closed already"),
    (
        ComponentTest,
        BadTypeName,
        "host_accepts_the_class",
        "class BadTypeName has the type_name 'Not-A-Name': it must match",
    ),
    (
        ComponentTest,
        UndescribedOption,
        "host_accepts_the_class",
        "class UndescribedOption has options without a description, level: add description=",
    ),
    (
        ComponentTest,
        ReservedOption,
        "host_accepts_the_class",
        "class ReservedOption has the option 'tags', which belongs to the host: call it something",
    ),
    (
        ComponentTest,
        IsAwaited,
        "host_accepts_the_class",
        "class IsAwaited has an async method evaluate: write a plain one, since nobody awaits it",
    ),
    (ComponentTest, AnyOption, "unknown_options_are_refused", "an unknown option is accepted"),
    (ComponentTest, BareSecret, "secrets_are_hidden", "option 'api_key' is no secret: make it a"),
    (ComponentTest, ShownSecret, "secrets_are_hidden", "the options show a secret: derive them"),
]
