"""What a person sees while `al run` works."""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from al_framework.api._faults import plugin_errors
from al_framework.assembly import Assembly
from al_framework.cli._wording import visible

_REFRESH_EVERY = 8  # frames; reading all counters for each one would show up in the run


class _Bars(Progress):
    """Bars, and below them a line that says what is waited for."""

    note = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.note:
            yield Text(visible(self.note), style="yellow", no_wrap=True, overflow="ellipsis")


class RunProgress:
    """A bar for each source, how much was accepted and delivered, and what is waited for.

    Args:
        console: Where to draw.
        assembly: The run.
        quiet: Draw nothing.
    """

    def __init__(self, console: Console, assembly: Assembly, *, quiet: bool) -> None:
        self._assembly = assembly
        self._progress = _Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[found]}"),
            TimeElapsedColumn(),
            console=console,
            disable=quiet or not console.is_terminal,  # a file or a pipe would get an empty line
            transient=True,
        )
        self._tasks = {
            bound.name: self._progress.add_task(
                bound.name, total=_length(bound.source), found="", start=False
            )
            for bound in assembly.sources
        }
        self._frames = 0
        self._delivering: int | None = None
        self._measure = self._of_this_run

    def advance(self, name: str) -> None:
        """Count one frame of a source."""
        task = self._tasks[name]
        self._progress.note = ""
        self._progress.start_task(task)
        self._progress.advance(task)
        self._frames += 1
        if self._frames % _REFRESH_EVERY == 0:
            self._progress.update(task, found=f"{self._assembly.counts().accepted} accepted")

    def wait(self, reason: str) -> None:
        """Say why nothing moves; empty for nothing to say."""
        self._progress.note = reason

    def delivering(self, measure: Callable[[], tuple[int, int]] | None = None) -> None:
        """Show that the sources are done and deliveries go on.

        Args:
            measure: Tells how many deliveries have ended and how many there are; by default those
                of this run.
        """
        self._measure = measure if measure is not None else self._of_this_run
        self.wait("")
        self._delivering = int(self._progress.add_task("delivering", total=None, found=""))
        self.refresh()

    def refresh(self) -> None:
        """Bring the numbers of the deliveries up to date."""
        if self._delivering is None:
            return
        done, total = self._measure()
        for task in self._progress.tasks:
            if task.id == self._delivering:
                self._progress.update(task.id, completed=done, total=total)

    def _of_this_run(self) -> tuple[int, int]:
        sinks = self._assembly.counts().sinks.values()
        done = sum(counts.delivered + counts.dead for counts in sinks)
        return done, done + sum(counts.pending for counts in sinks)

    def __enter__(self) -> Self:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop drawing."""
        self._progress.stop()


def _length(source: object) -> int | None:
    try:
        return len(source)  # type: ignore[arg-type]  # a source may not know, and says so
    except plugin_errors():  # a plugin boundary: a bar without an end is no reason to stop
        return None
