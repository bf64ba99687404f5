"""The values that go into the spool and come out of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from al_framework.api import Datapoint, FrameKey, Target


class Digest(Protocol):
    """SHA-256 of a picture, to go on from: what `hashlib.sha256` returns."""

    def copy(self) -> "Digest":
        """Return another one of the same bytes."""
        ...

    def update(self, data: bytes, /) -> None:
        """Go on with further bytes."""
        ...

    def digest(self) -> bytes:
        """Return the sum."""
        ...


class CorruptItemError(Exception):
    """What the disk gives back is not what was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """How much the spool may hold, for how long, and what happens to more.

    Attributes:
        max_bytes: Group files together.
        max_items: Datapoints, those given up included.
        min_free_bytes: Disk space left to others; on a small disk, a twentieth of it if that is
            less.
        when_full: ``reject_new`` never removes what was accepted; ``drop_oldest`` and
            ``drop_lowest_value`` remove datapoints that wait, the oldest or the least useful first.
        max_age_s: Seconds after which a datapoint that still waits is removed; None for never.
        ballast_bytes: Kept in reserve for the index, so that a full disk stops no delivery; on a
            small disk, a quarter of it if that is less; 0 keeps none.
        dead_max_bytes: Dead letters to keep, pictures and metadata; beyond it the oldest go.
        dead_max_age_s: Seconds for which dead letters are kept.
        allow_network_disk: Whether the directory may lie on a network file system.
    """

    max_bytes: int = 2 * 1024**3
    max_items: int = 50_000
    min_free_bytes: int = 1024**3
    when_full: Literal["reject_new", "drop_oldest", "drop_lowest_value"] = "reject_new"
    max_age_s: float | None = None
    ballast_bytes: int = 0
    dead_max_bytes: int = 256 * 1024**2
    dead_max_age_s: float = 14 * 86400.0
    allow_network_disk: bool = False


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
        unless_seen: It is not taken if this frame was dealt with meanwhile; None asks nothing.
        digest: Of `image`; None to have it made under the spool's lock.
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
    unless_seen: FrameKey | None = None
    digest: Digest | None = field(default=None, repr=False)

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
        unless_seen: As for `Candidate`; what was remembered first stands.
    """

    key: FrameKey
    outcome: str
    detail: Mapping[str, Any]
    decided_at: float
    unless_seen: FrameKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What became of one candidate.

    Attributes:
        item_id: Which candidate.
        status: ``accepted``, ``limited`` (every taker's limit is spent), ``batch_full``,
            ``limiter_unavailable`` (the server that keeps the limits does not answer),
            ``seen_meanwhile`` (another run has dealt with the frame since this one began with it),
            ``spool_full`` (what the spool holds is worth more), or another reason why this one was
            not taken though others of its group were.
        strategy: Who paid, if it was accepted.
    """

    item_id: str
    status: Literal[
        "accepted",
        "limited",
        "batch_full",
        "limiter_unavailable",
        "seen_meanwhile",
        "spool_full",
        "disk_full",
        "spool_error",
    ]
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
        accepted_at: UTC epoch seconds when the datapoint was accepted.
        crashes: How many of the last tries in a row ended with the death of the process.
        active_at: Seconds that the sink had been tried for when the first failure was yet to come.
        refusals: Tries after which the sink certainly did not hold the picture.
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
    accepted_at: float = 0.0
    crashes: int = 0
    active_at: float = 0.0
    refusals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDelivery:
    """How far a datapoint came at one sink.

    Attributes:
        sink: The sink.
        state: ``pending``, ``delivered``, ``dead`` or ``evicted``.
        status: ``created`` or ``duplicate`` once delivered.
        remote_id: The sink's name for it.
        url: Where a person can look at it.
        reason: Why it is dead or evicted, or why the last attempt failed.
        attempts: Attempts that failed.
    """

    sink: str
    state: Literal["pending", "delivered", "dead", "evicted"]
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
        bytes: Their group files.
        oldest: UTC epoch seconds when the oldest was accepted; None when there is none.
    """

    items: int
    bytes: int
    oldest: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A datapoint that is not on disk as it was accepted.

    Attributes:
        item_id: The datapoint.
        file: Its group file, below ``obj``.
        reason: What is wrong with it.
    """

    item_id: str
    file: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What a look at every byte of a spool has shown.

    Attributes:
        items: Datapoints that were read.
        bytes: Their pictures and metadata.
        damaged: Those that are not what was accepted, or whose file is missing.
        stray_files: Group files that belong to no datapoint; harmless, and `Spool.gc` removes them.
        index_faults: What SQLite finds wrong with the index.
        kept_files: Files in ``damaged`` with datapoints that the index knows nothing of. They may
            have been accepted: moved to ``obj/kept`` of a new directory, they are a spool that can
            be delivered.
        kept_items: How many datapoints these hold.
    """

    items: int
    bytes: int
    damaged: tuple[Damage, ...] = ()
    stray_files: tuple[str, ...] = ()
    index_faults: tuple[str, ...] = ()
    kept_files: int = 0
    kept_items: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged and not self.index_faults


@dataclass(frozen=True, slots=True, kw_only=True)
class GcReport:
    """What was removed from a spool because nobody needs it.

    Attributes:
        files: Group files without a datapoint.
        bytes: Their sizes.
        kept: Files that were moved to ``damaged``; see `VerifyReport`.
        hours: Empty directories.
        set_aside: Damaged files that were kept for two weeks.
    """

    files: int = 0
    bytes: int = 0
    kept: int = 0
    hours: int = 0
    set_aside: int = 0
