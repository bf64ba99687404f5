"""The real time, for everybody who is not a test.

The wall clock can be set, by a person or by the network, and a budget must not open again because
of it. So decisions go by a clock that starts at the wall's time and then follows what only ever
grows. Where the two part, it comes back to the wall, never by going back.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

logger = logging.getLogger(__name__)

JUMP_S: Final = 60.0
BELIEVE_AFTER_S: Final = 300.0
# A latest moment further ahead than this was written by a clock that was wrong.
BELIEVABLE_AHEAD_S: Final = 2 * 86400.0
LOOK_EVERY_S: Final = 1.0
_SLOW: Final = 0.5
_UNNOTICED_S: Final = 0.005  # two clocks are never read at the same moment
# Both count while the machine sleeps; macOS has only the second, Linux counts sleep in the first.
_TICKS: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


# Seconds that only ever grow, alike in every process, and while the machine sleeps.
ticks: Final[Callable[[], float]] = partial(time.clock_gettime, _TICKS)


class SystemClock:
    """The machine's clocks, as they are."""

    def time(self) -> float:
        """Return UTC epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that only ever grow, sleep included."""
        return ticks()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Course:
    """How time goes on from one moment; replaced as a whole, so that nobody needs a lock.

    Attributes:
        tick: The moment.
        at: UTC epoch seconds that it had.
        rate: Seconds that pass in a second; less than one while the wall is behind.
        wall: The wall's time less the ticks, as it is believed.
        doubted: The same, as the wall shows it, if that is too far away to be believed at once.
        doubted_since: Tick at which it was first seen there.
    """

    tick: float
    at: float
    rate: float
    wall: float
    doubted: float | None = None
    doubted_since: float = 0.0

    def time(self, tick: float) -> float:
        return self.at + (tick - self.tick) * self.rate


class SteadyClock:
    """A wall clock that never goes back and believes no jump at once; for all threads together.

    Once a second it looks at the wall. A wall that is ahead by up to a minute is followed at once;
    while the wall is behind, time passes at half speed until the two meet. A wall that jumps by
    more than a minute is believed when it has stayed there for five.

    Args:
        wall: Tells UTC epoch seconds; may be set at any time.
        ticks: Tells seconds that only ever grow.

    Attributes:
        jumps: Jumps of more than a minute that were seen.
    """

    def __init__(
        self, *, wall: Callable[[], float] = time.time, ticks: Callable[[], float] = ticks
    ) -> None:
        self._wall = wall
        self._ticks = ticks
        tick, now = ticks(), wall()
        self._course = _Course(tick=tick, at=now, rate=1.0, wall=now - tick)
        self._looked_at = tick
        self._given = now
        self.jumps = 0

    def time(self) -> float:
        """Return UTC epoch seconds, never less than before."""
        tick = self._ticks()
        if tick - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = tick
            self._course = self._look(self._course, tick)
        course = self._course
        now = course.at + (tick - course.tick) * course.rate  # its `time`; every frame passes here
        if now < self._given:  # another thread was here in between
            return self._given
        self._given = now
        return now

    def monotonic(self) -> float:
        """Return seconds that only ever grow, sleep included."""
        return self._ticks()

    def not_before(self, moment: float) -> None:
        """Go on no earlier than at a moment that has been: the latest that was written down.

        One that is days ahead was written by a clock that was wrong, and is ignored.

        Args:
            moment: UTC epoch seconds.
        """
        tick, course = self._ticks(), self._course
        ahead_s = moment - course.time(tick)
        if ahead_s <= 0:
            return
        if ahead_s > BELIEVABLE_AHEAD_S:
            text = "the latest credit is %.0f s ahead of the clock: too far to be believed"
            logger.warning(text, ahead_s)
            return
        if ahead_s > JUMP_S:
            text = "the clock is %.0f s behind the latest credit: until they meet, time is slow"
            logger.warning(text, ahead_s)
        self._course = replace(course, tick=tick, at=moment, rate=_SLOW)

    def _look(self, course: _Course, tick: float) -> _Course:
        """Return how to go on after a look at the wall."""
        course = self._judge(course, self._wall() - tick, tick)
        now = course.time(tick)
        ahead_s = tick + course.wall - now
        if ahead_s >= 0:
            return replace(course, tick=tick, at=now + ahead_s, rate=1.0)
        rate = 1.0 if ahead_s > -_UNNOTICED_S else _SLOW
        return replace(course, tick=tick, at=now, rate=rate)

    def _judge(self, course: _Course, wall: float, tick: float) -> _Course:
        """Return what is believed of the wall, and what is not yet."""
        away_s = wall - course.wall
        if abs(away_s) <= JUMP_S:
            return replace(course, wall=wall, doubted=None)
        if course.doubted is None or abs(wall - course.doubted) > JUMP_S:
            self.jumps += 1
            text = "the clock was set by %+.0f s: that is believed if it is still so in %.0f s"
            logger.warning(text, away_s, BELIEVE_AFTER_S)
            return replace(course, doubted=wall, doubted_since=tick)
        if tick - course.doubted_since < BELIEVE_AFTER_S:
            return course
        text = "the clock is still %+.0f s from where it was: believed from now on%s"
        slowly = "; time is slow" if away_s < 0 else ""
        logger.warning(text, away_s, slowly)
        return replace(course, wall=wall, doubted=None)
