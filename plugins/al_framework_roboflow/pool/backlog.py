"""How much may wait in memory while collectors are being opened."""

MAX_ITEMS = 256
MAX_BYTES = 256 * 1024 * 1024


class Backlog:
    """Counts what waits, by number and by bytes; the caller sees to locking."""

    def __init__(self) -> None:
        self._items = 0
        self._bytes = 0

    def admit(self, size: int) -> bool:
        """Count one more thing of so many bytes in; False if that would be too much."""
        if self._items >= MAX_ITEMS or self._bytes + size > MAX_BYTES:
            return False
        self._items += 1
        self._bytes += size
        return True

    def dismiss(self, size: int) -> None:
        """Count one thing out."""
        self._items -= 1
        self._bytes -= size
