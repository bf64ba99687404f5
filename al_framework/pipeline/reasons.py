"""Count what ended how, by sink and reason, for a monitor; since the process began and no longer.

The totals of a sink stand in the spool and pass from one process to the next. Their reasons are
worth no write of their own: a monitor adds up what each process has seen.
"""

from collections.abc import Iterable, Mapping

from al_framework.pipeline.cells import Cells
from al_framework.pipeline.forking import tell_after_fork

_BETWEEN = "\n"  # which stands in no reason


class Reasons:
    """Numbers by sink and reason; counted on any thread without a lock."""

    def __init__(self) -> None:
        self._cells = Cells()
        tell_after_fork(self)

    def after_fork(self) -> None:
        """Begin at zero in the child: what was counted is the parent's."""
        self._cells.begin_anew()

    def count(self, sink: str, reason: str) -> None:
        """Count one more."""
        self._cells.mine()[f"{reason}{_BETWEEN}{sink}"] += 1

    def count_all(self, ended: Iterable[tuple[str, str]]) -> None:
        """Count one more for each pair of a sink and a reason."""
        for sink, reason in ended:
            self.count(sink, reason)

    def of(self, sink: str) -> Mapping[str, int]:
        """Return the numbers of a sink by reason, in the order of the reasons."""
        numbers: dict[str, int] = {}
        for name, number in sorted(self._cells.sums().items()):
            reason, _, whose = name.partition(_BETWEEN)
            if whose == sink:
                numbers[reason] = number
        return numbers
