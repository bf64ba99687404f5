"""Read an Active Learning document as the host does, without running anything."""

from collections.abc import Mapping
from dataclasses import dataclass

from al_framework.api import ConfigurationError, Fault, Target
from al_framework.config.collection import load_collection
from al_framework.host.plugins import PluginHost

__all__ = ["ActiveLearningReader", "ReadDocument"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDocument:
    """What was understood of a document.

    Attributes:
        enabled: Whether it collects; if not, nothing else was read.
        persist_predictions: As in the document.
        max_image_size: ``(height, width)``, or None.
        jpeg_quality: Its ``jpeg_compression_level``.
        tags: Tags of every picture.
        batches_name_prefix: What batch names begin with.
        recreation_interval: How often a batch begins.
        max_batch_images: Pictures that one batch may hold, or None.
        target: Where it sends pictures, if it says so.
        strategies: Names of its strategies, in their order.
        strategy_limits: Limits of each, as ``(period, value)``.
        strategy_tags: Tags of each.
        skipped: What was left out of a fetched one, since it is not known here.
    """

    enabled: bool
    persist_predictions: bool
    max_image_size: tuple[int, int] | None
    jpeg_quality: int
    tags: tuple[str, ...]
    batches_name_prefix: str
    recreation_interval: str
    max_batch_images: int | None
    target: Target
    strategies: tuple[str, ...]
    strategy_limits: Mapping[str, tuple[tuple[str, int], ...]]
    strategy_tags: Mapping[str, tuple[str, ...]]
    skipped: tuple[Fault, ...]


class ActiveLearningReader:
    """Reads documents with the plugins that are installed.

    Args:
        host: The plugins; by default whatever is installed.
    """

    def __init__(self, host: PluginHost | None = None) -> None:
        self._host = host if host is not None else PluginHost.discover()

    def read(self, document: object, *, fetched: bool) -> ReadDocument | tuple[Fault, ...]:
        """Return what a document says, or all its faults.

        Args:
            document: The document, as JSON has it.
            fetched: Whether it came from a server, where what is not known here is left out;
                else it is the user's own, where that is a fault.
        """
        try:
            found = load_collection(document, self._host, lenient=fetched)
        except ConfigurationError as exc:
            return exc.faults
        section, strategies = found.active_learning, found.strategies
        batching = section.batching_strategy
        return ReadDocument(
            enabled=section.enabled,
            persist_predictions=section.persist_predictions,
            max_image_size=section.max_image_size,
            jpeg_quality=section.jpeg_compression_level,
            tags=section.tags,
            batches_name_prefix=batching.batches_name_prefix,
            recreation_interval=batching.recreation_interval,
            max_batch_images=batching.max_batch_images,
            target=Target(workspace=section.target_workspace, project=section.target_project),
            strategies=tuple(one.entry.name for one in strategies),
            strategy_limits={
                one.entry.name: tuple((limit.type, limit.value) for limit in one.limits)
                for one in strategies
            },
            strategy_tags={one.entry.name: one.tags for one in strategies},
            skipped=found.skipped,
        )
