"""A small world of plugins that shows every kind of option, and a good document for it."""

import copy
import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    UUID4,
    AnyHttpUrl,
    Field,
    RootModel,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from al_framework.api import (
    ConfigurationError,
    Options,
    PredictionAdapter,
    Predictor,
    Sink,
    Source,
    Strategy,
    hookimpl,
)
from al_framework.config.loading import load_configuration, read_document
from al_framework.config.models import Configuration
from al_framework.host.plugins import PluginHost


class FolderSourceOptions(Options):
    path: Path = Field(description="Directory of the pictures.")
    glob: str = Field(default="*", description="Which files")


class FolderSource(Source[FolderSourceOptions]):
    type_name = "folder"

    def frames(self, skip):
        return iter(())


class ModelOptions(Options):
    model: Path = Field(description="Model file")
    threshold: float = Field(default=0.1, ge=0, le=1, description="Lowest score")


class Model(Predictor[ModelOptions]):
    type_name = "model"

    def predict(self, frame):
        return None


class Reader(PredictionAdapter):
    type_name = "reader"

    def accepts(self, document):
        return False

    def adapt(self, document, *, frame, prediction_type):
        raise NotImplementedError


Fraction = Annotated[float, Field(ge=0, le=1)]


class RandomOptions(Options):
    traffic_percentage: Fraction = Field(description="Share of the frames")


class Random(Strategy[RandomOptions]):
    type_name = "random"

    def evaluate(self, frame, prediction):
        raise NotImplementedError


class CloseOptions(Options):
    threshold: Fraction = Field(description="Score")
    epsilon: Fraction = Field(description="Distance")
    probability: Fraction = Field(description="Chance")
    selected_class_names: tuple[str, ...] | None = Field(default=None, description="Classes")
    only_top_classes: bool = Field(default=True, description="Which")
    minimum_objects_close_to_threshold: int = Field(default=1, description="How many")


class Close(Strategy[CloseOptions]):
    type_name = "close_to_threshold"

    def evaluate(self, frame, prediction):
        raise NotImplementedError


class NumberOptions(Options):
    probability: Fraction = Field(description="Chance")
    more_than: int | None = Field(default=None, ge=0, description="Bound")
    less_than: int | None = Field(default=None, description="Bound")
    selected_class_names: tuple[str, ...] | None = Field(default=None, description="Classes")

    @model_validator(mode="after")
    def _bounds(self):
        if None not in (self.more_than, self.less_than) and self.more_than >= self.less_than:
            raise ValueError("`more_than` must be less than `less_than`.")
        return self


class Number(Strategy[NumberOptions]):
    type_name = "detections_number_based"

    def evaluate(self, frame, prediction):
        raise NotImplementedError


class ClassesOptions(Options):
    probability: Fraction = Field(description="Chance")
    selected_class_names: tuple[str, ...] = Field(description="Classes")


class Classes(Strategy[ClassesOptions]):
    type_name = "classes_based"

    def evaluate(self, frame, prediction):
        raise NotImplementedError


class Login(Options):
    user: str = Field(description="User name")
    token: SecretStr = Field(description="Password")


class Retries(RootModel[dict[str, int]]):
    pass


class ShopOptions(Options):
    url: str = Field(default="https://example.org", description="Address", max_length=60)
    key: SecretStr | None = Field(default=None, alias="api_key", description="Key")
    login: Login | None = Field(default=None, description="User and password")
    logins: list[Login] = Field(default_factory=list, description="More of them")
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="Headers")
    mode: Literal["fast", "slow"] = Field(default="fast", description="How")
    workers: int = Field(default=4, gt=0, lt=65, description="Threads")
    size: int | Literal["auto"] = Field(default="auto", description="Size")
    retries: Retries | None = Field(default=None, description="How often")
    crop: tuple[int, int] | None = Field(default=None, description="Size of crops")
    labels: Mapping[str, bool] = Field(default_factory=dict, description="Labels")
    port: float = Field(default=80, description="Port")
    step: int = Field(default=2, multiple_of=2, description="Step")
    code: str = Field(default="1", pattern="^[0-9]+$", description="Code")
    word: str = Field(default="ab", min_length=2, description="Word")
    day: dt.date | None = Field(default=None, description="Day")
    even: int = Field(default=0, description="Even number")
    silent: int = Field(default=0, description="Zero")
    prime: int = Field(default=2, description="Prime number")
    site: AnyHttpUrl = Field(default=AnyHttpUrl("https://example.org"), description="Site")
    ratio: Decimal = Field(default=Decimal(1), max_digits=2, description="Ratio")
    ident: UUID4 | None = Field(default=None, description="Id")

    @field_validator("prime")
    @classmethod
    def _prime(cls, value):
        if value == 4:
            raise PydanticCustomError("not_prime", "That is not a prime number.")
        return value

    @field_validator("even")
    @classmethod
    def _even(cls, value):
        if value % 2:
            raise ValueError(f"{value} is odd.")
        return value

    @field_validator("silent")
    @classmethod
    def _zero(cls, value):
        if value:
            raise ValueError
        return value


class Shop(Sink[ShopOptions]):
    type_name = "shop"

    def deliver(self, datapoint, checkpoint):
        raise NotImplementedError


class Null(Sink):
    type_name = "null"

    def deliver(self, datapoint, checkpoint):
        raise NotImplementedError


class MuteError(Exception):
    def __str__(self):
        raise ZeroDivisionError


class WarehouseOptions(Options):
    parts: dict[str, int] = Field(default_factory=dict, description="Parts")
    key: SecretStr = Field(default=SecretStr(""), description="Key")
    mute: bool = Field(default=False, description="Whether the error has no text")

    @model_validator(mode="after")
    def _broken(self):
        if self.mute:
            raise MuteError
        raise RuntimeError(f"no such table; the key was {self.key.get_secret_value()}")


class Warehouse(Sink[WarehouseOptions]):
    type_name = "warehouse"

    def deliver(self, datapoint, checkpoint):
        raise NotImplementedError


class FramePlugin:
    @hookimpl
    def al_register_sources(self):
        return [FolderSource]

    @hookimpl
    def al_register_predictors(self):
        return [Model]

    @hookimpl
    def al_register_prediction_adapters(self):
        return [Reader]


class StrategyPlugin:
    @hookimpl
    def al_register_strategies(self):
        return [Random, Close, Number, Classes]


class SinkPlugin:
    @hookimpl
    def al_register_sinks(self):
        return [Shop, Null, Warehouse]


class BrokenPlugin:
    @hookimpl
    def al_register_sinks(self):
        raise RuntimeError("the driver is missing")


GOOD: dict[str, Any] = {
    "name": "line-3",
    "sources": [{"name": "cam", "type": "folder", "path": "frames"}],
    "predictor": {"type": "model", "model": "net.onnx"},
    "adapter": {"type": "reader"},
    "active_learning": {
        "enabled": True,
        "persist_predictions": True,
        "sampling_strategies": [
            {
                "name": "hard",
                "type": "close_to_threshold",
                "threshold": 0.25,
                "epsilon": 0.1,
                "probability": 0.5,
                "tags": ["a"],
                "limits": [{"type": "minutely", "value": 10}],
            },
            {"name": "some", "type": "random", "traffic_percentage": 0.1},
        ],
        "batching_strategy": {"batches_name_prefix": "al_batch", "recreation_interval": "daily"},
    },
    "sinks": [{"type": "null"}],
}


@pytest.fixture(scope="session")
def host() -> PluginHost:
    """Return a host of four plugins, one of them broken."""
    return PluginHost.without_discovery(
        {
            "frames": FramePlugin(),
            "strategies": StrategyPlugin(),
            "sinks": SinkPlugin(),
            "broken": BrokenPlugin(),
        }
    )


@pytest.fixture
def good() -> dict[str, Any]:
    """Return a good document to change."""
    return copy.deepcopy(GOOD)


Load = Callable[..., Configuration]


@pytest.fixture
def load(host: PluginHost) -> Load:
    """Return a function that loads a mapping or a file."""

    def run(source: Any, **environ: str) -> Configuration:
        return load_configuration(read_document(source), host, environ=environ)

    return run


@pytest.fixture
def faults_of(load: Load) -> Callable[..., list[str]]:
    """Return a function that loads what cannot be loaded and returns its faults as text."""

    def run(source: Any, **environ: str) -> list[str]:
        with pytest.raises(ConfigurationError) as caught:
            load(source, **environ)
        return [str(fault) for fault in caught.value.faults]

    return run
