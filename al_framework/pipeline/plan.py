"""Everything that an Active Learning document decides, as one value.

A document can change while frames are on their way. So a frame keeps the plan that it was offered
under, the engine's own is replaced by one assignment, and nobody ever sees half of each.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from al_framework.api import Target
from al_framework.pipeline.encoding import EncodingRules
from al_framework.pipeline.sampling import Sampler


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRules:
    """How a chosen frame becomes a datapoint.

    Attributes:
        encoding: Down-scaling and JPEG.
        batch_name: Labelling batch for a moment.
        tags: Tags for a paying strategy and a model id.
        persist_predictions: Whether the prediction goes along.
        max_batch_images: Pictures that one batch may hold; None for any number.
        target: Where the document says that pictures go; empty for the sink's own place.
    """

    encoding: EncodingRules
    batch_name: Callable[[float], str]
    tags: Callable[[str, str | None], tuple[str, ...]]
    persist_predictions: bool
    max_batch_images: int | None = None
    target: Target = field(default_factory=Target)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What is done with frames, from one document.

    Attributes:
        sampler: The strategies.
        rules: How a chosen frame becomes a datapoint.
        configuration_hash: Stands in every decision.
        dataset: Where the pictures end up, as a key for `RecentImages`.
        off: Why nothing is collected; empty while something may be. Frames are then counted as
            not selected without being looked at, and not remembered: a later document may want
            them.
    """

    sampler: Sampler
    rules: CollectionRules
    configuration_hash: str
    dataset: str = ""
    off: str = ""
