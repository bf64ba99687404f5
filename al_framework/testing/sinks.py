"""Sinks that keep what they get in memory, and do what a test tells them to."""

import threading
from collections import deque
from collections.abc import Callable
from typing import ClassVar, TypeAlias

from al_framework.api import Checkpoint, Datapoint, Receipt, Sink

__all__ = ["MemorySink", "ScriptedSink", "Step", "memory_sink", "scripted_sink"]

Step: TypeAlias = Receipt | Exception | Callable[[Datapoint, Checkpoint], Receipt]


class MemorySink(Sink):
    """Keep every datapoint, once. Make a class of your own with `memory_sink`.

    Attributes:
        kept: Datapoints by item id, in the order in which they came; of all instances together,
            since the host and not the test builds them.
    """

    type_name = "memory"
    kept: ClassVar[dict[str, Datapoint]]
    _lock: ClassVar[threading.Lock]

    def deliver(self, datapoint: Datapoint, checkpoint: Checkpoint) -> Receipt:
        """Keep the datapoint, or say that it is there already."""
        del checkpoint
        with self._lock:
            is_new = datapoint.item_id not in self.kept
            self.kept.setdefault(datapoint.item_id, datapoint)
        return Receipt(status="created" if is_new else "duplicate", remote_id=datapoint.item_id)


class ScriptedSink(MemorySink):
    """Follow a script, and then keep every datapoint. Make one with `scripted_sink`.

    Attributes:
        script: What the next attempts do.
        attempts: The datapoint of every attempt.
    """

    type_name = "scripted"
    script: ClassVar[deque[Step]]
    attempts: ClassVar[list[Datapoint]]

    def deliver(self, datapoint: Datapoint, checkpoint: Checkpoint) -> Receipt:
        """Do the next step of the script."""
        with self._lock:
            self.attempts.append(datapoint)
            step = self.script.popleft() if self.script else super().deliver
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, Receipt) else step(datapoint, checkpoint)


def memory_sink() -> type[MemorySink]:
    """Return a sink class of the type ``memory`` that keeps nothing yet."""
    return type("MemorySink", (MemorySink,), {"kept": {}, "_lock": threading.Lock()})


def scripted_sink(*script: Step) -> type[ScriptedSink]:
    """Return a sink class of the type ``scripted``.

    Args:
        script: What each attempt does, one after the other: return a receipt, raise an error, or
            call a function with datapoint and checkpoint. After the last every datapoint is kept.
    """
    fields = {"kept": {}, "_lock": threading.Lock(), "script": deque(script), "attempts": []}
    return type("ScriptedSink", (ScriptedSink,), fields)
