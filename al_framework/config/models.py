"""What a configuration is: the models of the file, and what comes of it once it is checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from al_framework.api import Component
from al_framework.config.roboflow_document import (
    BATCH_PREFIX_PATTERN,
    STRATEGY_NAME_PATTERN,
    TAG_PATTERN,
    ActiveLearningModel,
    LimitModel,
    Section,
)

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MIB: Final = 1 << 20
GIB: Final = 1 << 30

PATTERN_WORDS: Mapping[str, str] = {
    NAME_PATTERN: "1 to 64 letters (a-z), digits, '.', '_' and '-', beginning with a letter or "
    "digit",
    TAG_PATTERN: "1 to 64 letters (a-z), digits and - _ : / . [ ] < > { } @",
    STRATEGY_NAME_PATTERN: "text on one line that is not empty",
    BATCH_PREFIX_PATTERN: "text on one line without control characters",
}


class EntryModel(Section):
    """What every source, predictor, adapter and sink has, whatever its type."""

    type: str = Field(min_length=1, description="Type that an installed plugin provides")
    name: str | None = Field(
        default=None,
        pattern=NAME_PATTERN,
        description="Names the instance in messages and on disk; by default its type",
    )


class PaceModel(Section):
    """How fast a sink is given pictures at the most; a second attempt counts as the first."""

    per_s: float = Field(ge=0.0001, le=1_000_000, description="Attempts a second in the long run")
    burst: int = Field(
        default=1,
        gt=0,
        le=1_000_000,
        description="Attempts that may come at once after a time without any",
    )


class SinkEntryModel(EntryModel):
    """What every sink has, whatever its type."""

    pace: PaceModel | None = Field(
        default=None,
        description="How fast it is given pictures at the most, to stay below what its server "
        "allows or to spare the network; by default as fast as they come",
    )


class SpoolModel(Section):
    """The directory where accepted pictures are safe until every sink holds them."""

    path: Path = Field(
        default_factory=lambda: Path(".al"),
        description="Directory of the spool; by default .al/<name> beside the configuration",
    )
    max_bytes: int = Field(
        default=2 * GIB, gt=0, description="Bytes it may hold; when full, new frames are refused"
    )
    max_items: int = Field(
        default=50_000, gt=0, description="Pictures it may hold; when full, new frames are refused"
    )
    min_free_bytes: int = Field(
        default=GIB,
        ge=0,
        description="Bytes of the disk that it leaves free; a twentieth of it at most",
    )
    when_full: Literal["reject_new", "drop_oldest", "drop_lowest_value"] = Field(
        default="reject_new",
        description="reject_new: never remove what was accepted; the others remove pictures that "
        "wait, the oldest or those of the lowest utility first",
    )
    max_age_s: float | None = Field(
        default=None,
        gt=0,
        description="Seconds after which a picture that still waits is removed; by default never",
    )
    ballast_bytes: int = Field(
        default=8 * MIB,
        ge=0,
        le=GIB,
        description="Bytes kept in reserve so that a full disk does not stop deliveries",
    )
    dead_max_bytes: int = Field(
        default=256 * MIB,
        ge=0,
        description="Bytes of dead letters to keep; beyond it the oldest are removed",
    )
    dead_max_age_s: float = Field(
        default=14 * 86400.0, gt=0, description="Seconds for which dead letters are kept"
    )
    allow_network_disk: bool = Field(
        default=False,
        description="Use a directory on a network file system, whose locks may not hold",
    )


class HandoffModel(Section):
    """The ring in memory between `Collector.submit` and the thread that stores frames."""

    max_items: int = Field(default=64, gt=0, description="Frames that may wait in memory")
    max_bytes: int = Field(
        default=64 * MIB, gt=0, description="Bytes of pictures that may wait in memory"
    )
    when_full: Literal["reject_new", "drop_oldest", "block"] = Field(
        default="reject_new",
        description="reject_new: drop the frame that comes; drop_oldest: drop the one that waits "
        "longest; block: make the caller wait, for offline jobs",
    )
    block_s: float = Field(
        default=30.0, gt=0, le=86400, description="Seconds that `block` waits before it drops"
    )


class DeliveryModel(Section):
    """How datapoints are handed to the sinks."""

    workers: int = Field(
        default=4, gt=0, le=64, description="Deliveries at the same time, shared by the sinks"
    )
    max_attempts: int = Field(
        default=12,
        gt=0,
        description="Failed attempts after which a picture is a dead letter; those of a sink that "
        "is paused or down do not count",
    )
    max_age_s: float = Field(
        default=72 * 3600.0,
        gt=0,
        description="Seconds of trying after which a picture that fails is a dead letter",
    )


# The loader says the same in words; an editor shows it while the file is being written.
_SERVER_FOR_REDIS_ALONE: Final[dict[str, Any]] = {
    "allOf": [
        {
            "if": {"properties": {"ledger": {"const": "redis"}}, "required": ["ledger"]},
            "then": {"properties": {"redis_url": {"type": "string"}}, "required": ["redis_url"]},
        },
        {
            "if": {"properties": {"ledger": {"enum": ["sqlite", "memory"]}}},
            "then": {"properties": {"redis_url": {"type": "null"}}},
        },
    ]
}


class LimitsModel(Section):
    """How the limits of the strategies are counted."""

    model_config = ConfigDict(json_schema_extra=_SERVER_FOR_REDIS_ALONE)

    ledger: Literal["sqlite", "memory", "redis"] = Field(
        default="sqlite",
        description="sqlite: in the spool, across restarts; memory: from zero at every start; "
        "redis: for several hosts together",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="Address of the Redis server, such as redis://host:6379/0; for ledger: redis",
    )


class PluginsModel(Section):
    """Which installed plugins take part."""

    only: tuple[str, ...] | None = Field(
        default=None, description="Names of the plugins to load, and no others"
    )
    disable: tuple[str, ...] = Field(default=(), description="Names of plugins to leave out")
    require: tuple[str, ...] = Field(
        default=(),
        description="Plugins without which nothing starts, such as al-framework-entropy>=1.2",
    )


DOCUMENT_WORDS = "a Roboflow Active Learning document that says which frames to collect"


class DocumentModel(Section):
    """The file as a whole; entries are checked one by one, each by its own type."""

    name: str | None = Field(
        default=None,
        pattern=NAME_PATTERN,
        description="Names the collection; by default the file's name without its suffix",
    )
    source: Any = Field(default=None, description="Where frames come from: the only source")
    sources: tuple[Any, ...] = Field(default=(), description="Where frames come from, in order")
    predictor: Any = Field(default=None, description="The model that looks at every frame")
    adapter: Any = Field(
        default=None, description="What reads the predictions; by default whichever accepts them"
    )
    active_learning: Any = Field(default=None, description=DOCUMENT_WORDS)
    configuration: Any = Field(
        default=None,
        description="What fetches that document from a server, and again while it runs; in place "
        "of active_learning",
    )
    sinks: tuple[Any, ...] = Field(
        min_length=1, description="where collected pictures go, one entry each"
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        lt=2**64,
        description="Seed of the draws, to repeat a run; by default a new one each time",
    )
    spool: SpoolModel = Field(
        default_factory=SpoolModel, description="Where accepted pictures wait to be delivered"
    )
    handoff: HandoffModel = Field(
        default_factory=HandoffModel, description="Where submitted frames wait in memory"
    )
    delivery: DeliveryModel = Field(
        default_factory=DeliveryModel, description="How pictures are handed to the sinks"
    )
    limits: LimitsModel = Field(
        default_factory=LimitsModel, description="How the limits of the strategies are counted"
    )
    batch_time_zone: str | None = Field(
        default=None,
        description="Time zone of the dates in batch names, such as Europe/Berlin; by default the "
        "computer's own",
    )
    verify_images: Literal["structure", "full"] = Field(
        default="structure",
        description="Whether accepted pictures are checked by their structure or decoded in full",
    )
    plugins: PluginsModel = Field(
        default_factory=PluginsModel, description="Which installed plugins take part"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentEntry:
    """One component that the configuration asks for, its options checked.

    Attributes:
        kind: Key of `al_framework.api.COMPONENT_KINDS`.
        type_name: What the user wrote as ``type``.
        name: The instance's name.
        component: The class.
        options: The options, an instance of the class's `Options`.
        plugin: Name of the plugin that provides the class.
        pace: Of a sink: how fast it is given datapoints at the most; None for no bound.
    """

    kind: str
    type_name: str
    name: str
    component: type[Component[Any]]
    options: BaseModel = field(repr=False)
    plugin: str
    pace: PaceModel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyEntry:
    """One sampling strategy with what the engine does for it.

    Attributes:
        entry: The strategy itself.
        tags: Tags of the pictures it pays for.
        limits: Its limits; all must have room.
        tasks: Prediction types it is asked about: those of its class, or what ``applies_to``
            makes of them; None for every type, stubs included.
    """

    entry: ComponentEntry
    tags: tuple[str, ...]
    limits: tuple[LimitModel, ...]
    tasks: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A configuration that has been checked against the installed plugins.

    Attributes:
        name: Names the collection.
        origin: The file's name as the user gave it, or ``<mapping>``.
        base_dir: Directory that relative paths start in.
        sources: Where frames come from; empty for library use.
        predictor: The model, or None.
        adapter: The prediction adapter, or None: whichever accepts the predictions.
        active_learning: The Roboflow document without its strategies; None where it comes from
            the provider.
        strategies: Its strategies, in their order; none where it is switched off or fetched.
        provider: What fetches the document, or None: it stands in the file.
        sinks: Where pictures go; at least one.
        seed: Seed of the draws, or None: a new one per run.
        spool: The spool, its path absolute.
        handoff: The ring in front of it.
        delivery: How datapoints are handed to the sinks.
        limits: How limits are counted.
        batch_time_zone: Name of a time zone, or None: the computer's own.
        verify_images: How accepted pictures are checked.
        plugins: Which plugins take part.
        configuration_hash: 16 hexadecimal digits that change with anything but a secret.
    """

    name: str
    origin: str
    base_dir: Path
    sources: tuple[ComponentEntry, ...]
    predictor: ComponentEntry | None
    adapter: ComponentEntry | None
    active_learning: ActiveLearningModel | None
    strategies: tuple[StrategyEntry, ...]
    provider: ComponentEntry | None
    sinks: tuple[ComponentEntry, ...]
    seed: int | None
    spool: SpoolModel
    handoff: HandoffModel
    delivery: DeliveryModel
    limits: LimitsModel
    batch_time_zone: str | None
    verify_images: Literal["structure", "full"]
    plugins: PluginsModel
    configuration_hash: str

    @property
    def spool_dir(self) -> Path:
        """The spool's directory, absolute."""
        return self.spool.path
