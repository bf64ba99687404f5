"""The core's own rules, each as a function of its input: for conformance checks and for authors.

Nothing is decided here. Each function hands its arguments to the one that the pipeline calls, so
whoever compares these with recorded answers compares the pipeline.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import cast, get_args

from al_framework.pipeline import batching, encoding, tagging
from al_framework.pipeline.batching import RecreationInterval
from al_framework.pipeline.limits.base import LimitRule, Period
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.spool import batches

__all__ = [
    "Credit",
    "LimitsSimulator",
    "compose_tags",
    "dated_name",
    "environment_tags",
    "has_batch_room",
    "scaled_size",
]


def scaled_size(width: int, height: int, max_image_size: tuple[int, int] | None) -> tuple[int, int]:
    """Return width and height of the stored picture.

    Args:
        width: Of the upright frame.
        height: Of the upright frame.
        max_image_size: ``(height, width)``, or None: as it is.
    """
    return encoding.scaled_size(width, height, max_image_size)


def dated_name(prefix: str, interval: str, today: date) -> str:
    """Return the name of the labelling batch that is open on a calendar day.

    Raises:
        ValueError: The interval is not ``never``, ``daily``, ``weekly`` or ``monthly``.
    """
    return batching.dated_name(prefix, cast("RecreationInterval", interval), today)


def environment_tags(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the tags that ``ACTIVE_LEARNING_TAGS`` names."""
    return tagging.environment_tags(environ)


def compose_tags(
    *,
    environment: Sequence[str],
    configuration: Sequence[str],
    strategy: Sequence[str],
    model_id: str | None,
    persist_predictions: bool,
) -> tuple[str, ...]:
    """Return a datapoint's tags in order, from the environment to the model."""
    return tagging.compose_tags(
        environment=environment,
        configuration=configuration,
        strategy=strategy,
        model_id=model_id,
        persist_predictions=persist_predictions,
    )


def has_batch_room(images: int, max_batch_images: int | None) -> bool:
    """Tell whether a labelling batch that holds so many images takes one more."""
    return batches.has_room(images, max_batch_images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """One credit that a strategy has paid.

    Attributes:
        strategy: Who paid.
        taken_at: UTC epoch seconds.
        scope: Whose limits they are.
        token: Names the credit.
    """

    strategy: str
    taken_at: float
    scope: str
    token: str = field(repr=False)


class LimitsSimulator:
    """The limits of strategies without a spool: who pays for a datapoint at a moment."""

    def __init__(self) -> None:
        self._ledger = MemoryLedger({}, scope="")
        self._count = 0

    def take(
        self,
        matching: Mapping[str, Sequence[tuple[str, int]]],
        *,
        at: float,
        scope: str = "",
    ) -> Credit | None:
        """Let the first strategy with room pay; None if none has.

        Args:
            matching: The limits of each matching strategy, as ``(period, value)``, in the order
                in which they are asked to pay.
            at: UTC epoch seconds.
            scope: Whose limits these are: workspace and project.

        Raises:
            ValueError: A period is none of the three.
        """
        rules = {name: [_rule(*limit) for limit in limits] for name, limits in matching.items()}
        self._ledger.update(rules, scope=scope)
        self._count += 1
        reservation = self._ledger.reserve(tuple(matching), str(self._count), at, None)
        if reservation is None:
            return None
        return Credit(
            strategy=reservation.strategy, taken_at=at, scope=scope, token=reservation.token
        )

    def give_back(self, credit: Credit) -> None:
        """Return a credit to the windows it was taken from; doing it twice does nothing."""
        self._ledger.release(credit.token, None)


def _rule(period: str, value: int) -> LimitRule:
    if period not in get_args(Period):
        raise ValueError(
            f"limits cannot be {period!r}: use {', '.join(map(repr, get_args(Period)))}"
        )
    return LimitRule(period=cast("Period", period), value=value)
