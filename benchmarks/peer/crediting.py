"""Ask Roboflow's caches for credits, from several threads at the same time."""

import importlib
from collections import OrderedDict
from typing import Any

from benchmarks.asking import ask_together
from benchmarks.peer import Work


def prepare(  # noqa: PLR0913 - settings, passed by name
    *, kind: str, port: int, threads: int, attempts: int, limit: int, name: str
) -> Work:
    """Return that so many threads ask so often, a credit of three windows each.

    Args:
        kind: Which cache: ``memory`` or ``redis``.
        port: The Redis server's.
        threads: Who asks at the same time.
        attempts: How often they ask together.
        limit: Credits in a day; in the other windows there are enough.
        name: Of the project whose credits these are.

    Returns:
        Work whose outcome is that of `benchmarks.asking.ask_together`.
    """
    entities: Any = importlib.import_module("inference.core.active_learning.entities")
    operations: Any = importlib.import_module("inference.core.active_learning.cache_operations")
    cache = _cache(kind, port)
    kinds = entities.StrategyLimitType
    values = {kinds.MINUTELY: 10**9, kinds.HOURLY: 10**9, kinds.DAILY: limit}
    limits = [entities.StrategyLimit(limit_type=one, value=n) for one, n in values.items()]

    def ask(token: str) -> bool:
        del token
        payer = operations.use_credit_of_matching_strategy(
            cache=cache,
            workspace="benchmark",
            project=name,
            matching_strategies_limits=OrderedDict(a=limits),
        )
        return payer is not None

    def together() -> object:
        return ask_together([lambda: ask] * threads, attempts)

    return Work(call=together, outcome=together)


def _cache(kind: str, port: int) -> Any:
    package = "inference.core.cache"
    if kind == "memory":
        return importlib.import_module(f"{package}.memory").MemoryCache()
    return importlib.import_module(f"{package}.redis").RedisCache(host="127.0.0.1", port=port)
