"""Ask for credits from several threads at once; for both sides: imports nothing of ours."""

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any


def ask_together(
    askers: Sequence[Callable[[], Callable[[str], bool]]], attempts: int
) -> dict[str, Any]:
    """Let threads ask until they have asked so often together.

    Args:
        askers: What each thread calls first; it returns what asks with a token of its own, and
            tells whether a credit was granted.
        attempts: How often they ask together.

    Returns:
        ``granted``: credits; ``taken``: the seconds of each call; ``wall_s``: of all of them.
    """
    taken: list[float] = []
    granted: list[bool] = []
    failures: list[BaseException] = []
    barrier = threading.Barrier(len(askers) + 1)
    token = itertools.count(time.time_ns())  # another one each time, in every process

    def work(asker: Callable[[], Callable[[str], bool]]) -> None:
        ask = asker()
        barrier.wait()
        for _ in range(attempts // len(askers)):
            start = time.perf_counter()
            try:
                granted.append(ask(f"t{next(token)}"))
            except Exception as exc:  # noqa: BLE001 - raised again where the threads are awaited
                failures.append(exc)
                return
            taken.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work, args=(asker,)) for asker in askers]
    for thread in threads:
        thread.start()
    barrier.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    wall_s = time.perf_counter() - start
    if failures:
        raise failures[0]
    return {"granted": sum(granted), "taken": taken, "wall_s": wall_s}
