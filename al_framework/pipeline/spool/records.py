"""The values that go into the spool and come out of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from al_framework.api import Datapoint, FrameKey, Target


class CorruptItemError(Exception):
    """What the disk gives back is not what was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """How much the spool may hold before it refuses more.

    Attributes:
        max_bytes: Pictures and metadata together.
        max_items: Datapoints, those given up included.
        min_free_bytes: Disk space left to others; on a small disk, a twentieth of it if that is
            less.
    """

    max_bytes: int = 2 * 1024**3
    max_items: int = 50_000
    min_free_bytes: int = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchKey:
    """Names one labelling batch.

    Attributes:
        name: As in `Datapoint.batch_name`.
        target: As in `Datapoint.target`.
    """

    name: str
    target: Target = field(default_factory=Target)

    @property
    def columns(self) -> tuple[str, str, str]:
        """The key of its row."""
        return (self.target.workspace or "", self.target.project or "", self.name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A frame that some strategy takes, encoded; whether a limit pays for it is yet to be seen.

    Attributes:
        item_id: Name of the datapoint, and token of its credit.
        image: JPEG bytes.
        matching: The strategies that take it, in the order in which they are asked to pay.
        decided_at: UTC epoch seconds.
        batch_name: Labelling batch.
        max_batch_images: How many images that batch may hold; None for any number.
        target: Where the batch is, if the document names it; as in `Datapoint.target`.
        compose: Makes the datapoint once the paying strategy is known.
        key: Where it comes from, to be remembered; None remembers nothing.
        sinks: Where it goes; None for every sink of the spool.
    """

    item_id: str
    image: bytes = field(repr=False)
    matching: tuple[str, ...]
    decided_at: float
    batch_name: str
    compose: Callable[[str], Datapoint]
    max_batch_images: int | None = None
    target: Target = field(default_factory=Target)
    key: FrameKey | None = None
    sinks: tuple[str, ...] | None = None

    @property
    def batch(self) -> BatchKey:
        """The labelling batch, at its target."""
        return BatchKey(name=self.batch_name, target=self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFrame:
    """A frame that has been dealt with and leaves nothing but this.

    Attributes:
        key: Which frame.
        outcome: What became of it: ``not_selected``, ``limited``, ``invalid_image``, …
        detail: Why, as JSON values: the decision, or ``{"error": …}``.
        decided_at: UTC epoch seconds.
    """

    key: FrameKey
    outcome: str
    detail: Mapping[str, Any]
    decided_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What became of one candidate.

    Attributes:
        item_id: Which candidate.
        status: ``accepted``, ``limited`` (every taker's limit is spent) or ``batch_full``.
        strategy: Who paid, if it was accepted.
    """

    item_id: str
    status: Literal["accepted", "limited", "batch_full"]
    strategy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a datapoint lies in its group file.

    Attributes:
        offset: First byte of the picture.
        image_bytes: Length of the picture.
        meta_bytes: Length of the metadata that follow it.
    """

    offset: int
    image_bytes: int
    meta_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to deliver one datapoint to one sink.

    Attributes:
        number: The datapoint's row.
        item_id: The datapoint.
        sink: The sink.
        owner: Who holds the lease; different for each one ever given.
        attempts: Attempts that failed before.
        tries: Attempts begun, this one included: one that was cut short is not in `attempts`.
        faults: How many of them with an error that no sink should raise.
        checkpoint: What earlier attempts saved.
        file: Group file, below ``obj``.
        place: Where in it.
    """

    number: int
    item_id: str
    sink: str
    owner: str
    attempts: int
    tries: int
    faults: int
    checkpoint: Mapping[str, str]
    file: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDelivery:
    """How far a datapoint came at one sink.

    Attributes:
        sink: The sink.
        state: ``pending``, ``delivered`` or ``dead``.
        status: ``created`` or ``duplicate`` once delivered.
        remote_id: The sink's name for it.
        url: Where a person can look at it.
        reason: Why it is dead, or why the last attempt failed.
        attempts: Attempts that failed.
    """

    sink: str
    state: Literal["pending", "delivered", "dead"]
    status: str | None = None
    remote_id: str | None = None
    url: str | None = None
    reason: str | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFrame:
    """What the spool remembers of a frame.

    Attributes:
        source: Name of the source; empty for `Collector.submit`.
        frame_id: The frame.
        outcome: ``accepted``, ``not_selected``, ``limited``, ``batch_full``, ``invalid_image``, …
        decided_at: UTC epoch seconds.
        item_id: The datapoint made of it, if one was.
        detail: The decision as JSON values with ``paid_by``, or ``{"error": …}``.
        deliveries: One for each sink.
    """

    source: str
    frame_id: str
    outcome: str
    decided_at: float
    item_id: str | None
    detail: Mapping[str, Any]
    deliveries: tuple[FoundDelivery, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolStats:
    """What lies in the spool.

    Attributes:
        items: Datapoints, those given up included.
        bytes: Their pictures and metadata.
        oldest: UTC epoch seconds when the oldest was accepted; None when there is none.
    """

    items: int
    bytes: int
    oldest: float | None
