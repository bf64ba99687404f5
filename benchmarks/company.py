"""Others that want the processor, or the interpreter, while something is measured."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Let other processes want the processors, too: a thread that is woken may cost a turn."""
    command = [sys.executable, "-c", "while True: pass"]
    with ExitStack() as stack:
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen(command))  # noqa: S603 - a loop of our own
            stack.callback(process.kill)
        yield


@contextmanager
def spinning(busy: bool) -> Iterator[None]:
    """Let another thread hold the interpreter all the while, as a model's Python does."""
    over = False

    def spin() -> None:
        while not over:
            pass

    thread = threading.Thread(target=spin, daemon=True)
    if busy:
        thread.start()
    try:
        yield
    finally:
        over = True
        if busy:
            thread.join()
