"""The real time, for everybody who is not a test."""

import time


class SystemClock:
    """The machine's clocks."""

    def time(self) -> float:
        """Return UTC epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""
        return time.monotonic()
