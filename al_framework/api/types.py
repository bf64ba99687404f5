"""The values that travel along the data path, in the order in which they appear.

Frozen, slotted, keyword-only dataclasses: a strategy or a sink may keep one as long as it likes,
and adding a field breaks nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

from al_framework.api.image import Image, ImageSize
from al_framework.api.predictions import Prediction

_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})

Outcome: TypeAlias = Literal["not_selected", "selected", "limited"]
TicketStatus: TypeAlias = Literal[
    "queued", "accepted", "not_selected", "limited", "dropped", "invalid"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameKey:
    """What a source knows of a frame before reading it; a changed file is a new frame.

    Attributes:
        source: Name of the source in the configuration.
        frame_id: As in `Frame.frame_id`.
        size: Bytes of the file that the frame comes from.
        mtime_ns: When that file was last written, nanoseconds since the epoch.
    """

    source: str
    frame_id: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """Where a frame was cut out of another one.

    Attributes:
        frame_id: The frame it was cut from.
        detection_id: The detection it was cut around, or None.
        left: Offset in pixels of the parent.
        top: Offset in pixels of the parent.
        width: Width in pixels of the parent.
        height: Height in pixels of the parent.
    """

    frame_id: str
    detection_id: str | None
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One picture to decide about.

    Attributes:
        frame_id: Names the frame for ever: the caller's, ``<run id>-<n>``, or from a source
            ``<source name>/<relative path>[#<pts>]``. Never a content hash.
        image: The picture, not decoded until somebody reads its pixels.
        captured_at: UTC epoch seconds when the picture was taken, or None if nobody knows.
        source: Name of the source in the configuration; empty for `Collector.submit`.
        attributes: What else is known: camera, site, shift.
        parent: The frame it was cut from, or None.
    """

    frame_id: str
    image: Image
    captured_at: float | None = None
    source: str = ""
    attributes: Mapping[str, str] = field(default_factory=lambda: _NO_ATTRIBUTES)
    parent: Crop | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one strategy says of one frame.

    Attributes:
        match: Whether the strategy wants the frame at all.
        utility: How much it wants it: higher is better, on the strategy's own scale.
        probability: Chance of being taken if it matches, 0 to 1. The engine draws, not the
            strategy, so the chance is known and the decision can be replayed.
        reason: Why, in words for a person; may be empty.
    """

    match: bool
    utility: float = 1.0
    probability: float = 1.0
    reason: str = ""


class StrategyVerdict(NamedTuple):
    """A verdict with the strategy that gave it and the number drawn for it.

    Attributes:
        strategy: Name of the strategy in the configuration.
        verdict: What it said.
        u: The number in [0, 1) drawn for the frame; None where nothing was drawn, since the
            strategy did not match.
    """

    strategy: str
    verdict: Verdict
    u: float | None

    @property
    def selected(self) -> bool:
        """Whether the strategy takes the frame: it matches and the draw is below its chance."""
        return self.u is not None and self.verdict.match and self.u < self.verdict.probability


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Everything needed to say, and to replay, why a frame was or was not taken.

    Attributes:
        frame_id: The frame.
        decided_at: UTC epoch seconds when it was offered; limit windows and batch dates go by it.
        seed: Seed of the run's draws.
        verdicts: Every strategy that was asked, in configuration order.
        matching: Names of the strategies that take it, in configuration order.
        outcome: ``selected``, ``not_selected``, or ``limited`` when every taker's limit was spent.
        configuration_hash: Which configuration decided.
    """

    frame_id: str
    decided_at: float
    seed: int
    verdicts: tuple[StrategyVerdict, ...]
    matching: tuple[str, ...]
    outcome: Outcome
    configuration_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a datapoint belongs: a workspace and a project of the service that labels are made in.

    Attributes:
        workspace: Its short name, or None: the one that the sink's key belongs to.
        project: Its short name, or None: the sink's own.
    """

    workspace: str | None = None
    project: str | None = None

    def __bool__(self) -> bool:
        """Tell whether anything is named."""
        return self.workspace is not None or self.project is not None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Datapoint:
    """A picture on its way to where labels are made, with its pre-annotation.

    Attributes:
        item_id: Names this datapoint at every sink; sorts by time.
        frame_id: The frame it was made from.
        content_key: SHA-256 of `image`, hexadecimal.
        image: JPEG bytes as they are delivered.
        image_size: ``(width, height)`` of `image` in pixels.
        prediction: The model's proposal in pixels of `image`, or None where none is to be sent.
            An `Unlabelled` one holds the document of a task that we do not read, as it was given:
            its coordinates, if it has any, are those of the source picture.
            Its ``document`` is the source document with the coordinates it came with: pixels of
            the size it states itself, else of `source_size`.
        source_size: ``(width, height)`` of the upright frame before down-scaling; `image_size`
            over it is the exact factor of each axis.
        batch_name: Labelling batch.
        tags: In order, not de-duplicated.
        strategy: The strategy whose limit paid for it.
        utility: That strategy's utility.
        probability: That strategy's probability.
        reason: That strategy's reason.
        model_id: Which model, or None.
        inference_id: The request that made the prediction, or None.
        captured_at: UTC epoch seconds, or None.
        decided_at: UTC epoch seconds.
        attributes: As in `Frame`.
        source: As in `Frame`.
        parent: As in `Frame`.
        decision: The whole decision.
        target: What the document's ``target_workspace`` and ``target_project`` name; a sink that
            has a destination of its own goes by it where it is given.
    """

    item_id: str
    frame_id: str
    content_key: str
    image: bytes = field(repr=False)
    image_size: ImageSize
    prediction: Prediction | None
    source_size: ImageSize
    batch_name: str
    tags: tuple[str, ...]
    strategy: str
    utility: float
    probability: float
    reason: str
    model_id: str | None
    inference_id: str | None
    captured_at: float | None
    decided_at: float
    attributes: Mapping[str, str]
    source: str
    parent: Crop | None
    decision: Decision
    target: Target = field(default_factory=Target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A sink's word that it holds the datapoint.

    Attributes:
        status: ``created``, or ``duplicate`` when the sink held the same picture already.
        remote_id: The sink's name for it, or None.
        url: Where a person can look at it, or None.
    """

    status: Literal["created", "duplicate"]
    remote_id: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What became of one `Collector.submit`, as far as is known when it returns.

    Attributes:
        status: ``queued`` (in memory), ``accepted`` (on disk, from here nothing is lost),
            ``not_selected``, ``limited``, ``dropped`` (`reason` says why) or ``invalid``
            (`reason` says what was wrong).
        reason: Why, where the status alone does not say.
        frame_id: The frame's name, given or made.
        item_id: The datapoint's name once one exists, else None.
    """

    status: TicketStatus
    reason: str
    frame_id: str
    item_id: str | None = None
