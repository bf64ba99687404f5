"""Make one collector; whatever goes wrong is told without the key."""

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from al_framework import Collector, RecentImages
from al_framework.api import AlFrameworkError, ConfigurationError, Fault
from al_framework_roboflow.pool.keys import CollectorKey, PoolError

Build: TypeAlias = Callable[[Mapping[str, object], RecentImages], Collector]


def build(document: Mapping[str, object], recent: RecentImages) -> Collector:
    """Return a collector for a configuration."""
    return Collector.from_config(document, recent=recent)


def made(key: CollectorKey, make: Callable[[], Collector]) -> Collector:
    """Return what `make` makes.

    Raises:
        PoolError: It raised anything else. The error has neither cause nor context: their texts and
            their variables might hold the key.
    """
    try:
        return make()
    except AlFrameworkError as exc:
        failure = explained(exc, key)
    except Exception as exc:  # noqa: BLE001 - plugins start here; no tenant's may end a request
        failure = _error(key, f"{type(exc).__name__}: {exc}")
    raise failure


def explained(error: AlFrameworkError, key: CollectorKey) -> PoolError:
    """Return why a collector could not be made, in the words of who asked for it."""
    if not isinstance(error, ConfigurationError):
        return _error(key, str(error))
    faults = error.faults
    shown = "; ".join(
        re.sub(r"^(line \d+: )?active_learning\b", "active_learning_configuration", str(fault))
        for fault in faults
    )
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return _error(key, f"{count}: {shown}", faults)


def _error(key: CollectorKey, text: str, faults: tuple[Fault, ...] = ()) -> PoolError:
    return PoolError(
        key.redacted(f"no collector for the dataset {key.dataset!r}: {text}"), faults=faults
    )
