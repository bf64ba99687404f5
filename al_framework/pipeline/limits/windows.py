"""UTC calendar windows: which minute, hour and day a moment falls into."""

from collections.abc import Mapping
from typing import TypeAlias

from al_framework.pipeline.limits.base import PERIOD_SECONDS, LimitRule, Period

# Windows outlive their end by this much, so that a clock set back a little finds them still spent.
KEEP_S = 2 * 86400.0
PRUNE_EVERY_S = 3600.0
REFRESH_EVERY_S = 1.0

Windows: TypeAlias = tuple[tuple[Period, int], ...]


def windows_of(now: float) -> Windows:
    """Return each period with the start, in epoch seconds, of the window that `now` falls into."""
    return tuple((period, int(now // length) * length) for period, length in PERIOD_SECONDS.items())


def has_room(rules: tuple[LimitRule, ...], used: Mapping[Period, int]) -> bool:
    """Tell whether no limit is reached.

    Source: Roboflow inference, active_learning/accounting and cache_operations, 2026-08: a strategy
    is full when the usage of any of its limits is at least the limit's value.
    """
    return all(used.get(rule.period, 0) < rule.value for rule in rules)
