"""The one collector pool of a process.

The server makes a new block for every request, so queues, limits and connections have to live
outside. This is the one place of the project that keeps something for the life of the process.
"""

import importlib
import os
import threading

from al_framework_roboflow.client import DEFAULT_API_URL
from al_framework_roboflow.pool import CollectorPool


class _Shared:
    """Creates the pool on first use; that starts afresh after a fork and closes at exit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: CollectorPool | None = None

    def pool(self) -> CollectorPool:
        with self._lock:
            if self._pool is None:
                # Another thread may hold the lock while the process forks.
                os.register_at_fork(after_in_child=self._renew_lock)
                self._pool = new_pool()
            return self._pool

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()


_SHARED = _Shared()


def collector_pool() -> CollectorPool:
    """Return the pool of this process, created at the first call; safe from any thread."""
    return _SHARED.pool()


def new_pool() -> CollectorPool:
    """Return a pool for the API that this server uses; the rest is the environment's."""
    return CollectorPool(api_url=_api_url())


def _api_url() -> str:
    """Return the address that the server itself uses, so that a gateway serves both."""
    try:
        url = getattr(importlib.import_module("inference.core.env"), "API_BASE_URL", None)
    except ModuleNotFoundError:
        url = os.environ.get("API_BASE_URL")
    return str(url or DEFAULT_API_URL)
