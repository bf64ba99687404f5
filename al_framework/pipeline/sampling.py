"""Frame, Prediction → Verdicts: ask every strategy, and survive any of them.

This is the hot path: plain calls on bound methods, no logging above debug, no copying of images.
A strategy that raises is counted and left out for that frame; after twenty faults in a row it is
switched off, since a broken strategy that silently matches nothing looks like a quiet day.
"""

import math
import threading
from collections.abc import Callable, Sequence

from al_framework.api import Frame, Prediction, Strategy, StrategyVerdict, Unlabelled, Verdict
from al_framework.pipeline.forking import tell_after_fork
from al_framework.pipeline.selection import draw
from al_framework.pipeline.sharing import read_only
from al_framework.pipeline.tally import StrategyTally

MAX_FAULTS_IN_A_ROW = 20
_PLAIN = frozenset((bool, u, p, str) for u in (float, int) for p in (float, int))

FaultReporter = Callable[[str, BaseException | None], None]


class StrategySlot:
    """One strategy of the configuration: its instance, or one instance per source if stateful.

    Args:
        name: Its name in the configuration.
        plugin: The plugin that provides it.
        strategy: Its class.
        tasks: Prediction types it is asked about; None for every type, stubs included.
        build: Makes and starts an instance for a source; called at once for stateless ones.
        tally: Its counters; those of its name, whatever becomes of the slot.

    Attributes:
        disabled: Whether it is switched off, which another slot of the name need not be.
    """

    def __init__(  # noqa: PLR0913 - what the configuration says of it, keyword-only
        self,
        name: str,
        *,
        plugin: str,
        strategy: type[Strategy],
        tasks: frozenset[str] | None,
        build: Callable[[str], Strategy],
        tally: StrategyTally,
    ) -> None:
        self.name = name
        self.plugin = plugin
        self.tasks = tasks
        self.needs_pixels = strategy.needs_pixels
        self.tally = tally
        self.faults_in_a_row = 0
        self.disabled = False
        self._build = build
        self._stateful = strategy.stateful
        self._instances: dict[str, Strategy] = {}
        # Callers of the library may bring frames on several threads at once.
        self._lock = threading.Lock()
        if not self._stateful:
            self._instances[""] = build("")
        tell_after_fork(self)

    def after_fork(self) -> None:
        """Go on in the child with a lock that nobody holds."""
        self._lock = threading.Lock()

    def instance(self, source: str) -> Strategy:
        """Return the instance that judges frames of a source."""
        key = source if self._stateful else ""
        if key not in self._instances:
            with self._lock:
                if key not in self._instances:
                    self._instances[key] = self._build(key)
        return self._instances[key]

    def evaluate(self, frame: Frame, prediction: Prediction) -> object:
        """Return what the strategy says; a stateful one is asked one frame at a time."""
        strategy = self.instance(frame.source)
        if not self._stateful:
            return strategy.evaluate(frame, prediction)
        with self._lock:
            return strategy.evaluate(frame, prediction)

    def instances(self) -> dict[str, Strategy]:
        """Return every instance built so far by source; stateless ones stand under ``""``."""
        return dict(self._instances)

    def eligible(self, prediction: Prediction) -> bool:
        """Tell whether it is asked about such predictions; stubs only if it is about everything."""
        if self.tasks is None:
            return True
        return prediction.prediction_type in self.tasks and not isinstance(prediction, Unlabelled)


class Sampler:
    """Asks the strategies, in configuration order.

    Args:
        slots: The strategies.
        seed: Seed of the draws.
        report: Told of a strategy's first fault and of its being switched off.
    """

    def __init__(self, slots: Sequence[StrategySlot], *, seed: int, report: FaultReporter) -> None:
        self.slots = tuple(slots)
        self.seed = seed
        self.has_pixel_strategies = any(slot.needs_pixels for slot in slots)
        self._report = report
        self._positions = {slot.name: position for position, slot in enumerate(slots)}
        self._by_need = {
            need: tuple(slot for slot in slots if slot.needs_pixels is need)
            for need in (False, True)
        }

    def evaluate(
        self, frame: Frame, prediction: Prediction, *, pixels: bool
    ) -> list[StrategyVerdict]:
        """Return the verdicts of the strategies that read pixels, or of those that do not."""
        verdicts: list[StrategyVerdict] = []
        slots = self._by_need[pixels]
        if slots:
            prediction = read_only(prediction)
        for slot in slots:
            tally = slot.tally
            if slot.disabled:
                continue
            if not slot.eligible(prediction):
                tally.count("not_eligible")
                continue
            try:
                verdict = _checked(slot.evaluate(frame, prediction))
            except (Exception, SystemExit) as exc:  # noqa: BLE001 - a plugin boundary: one strategy must take neither the others nor the program with it
                self._fault(slot, frame, exc)
                continue
            slot.faults_in_a_row = 0
            u = draw(self.seed, slot.name, frame.frame_id) if verdict.match else None
            entry = StrategyVerdict(slot.name, verdict, u)
            tally.judge(matched=verdict.match, selected=entry.selected)
            verdicts.append(entry)
        return verdicts

    def merge(
        self, first: Sequence[StrategyVerdict], second: Sequence[StrategyVerdict]
    ) -> list[StrategyVerdict]:
        """Return both lists of verdicts as one, in configuration order."""
        if not second:
            return list(first)
        return sorted((*first, *second), key=lambda entry: self._positions[entry.strategy])

    def _fault(self, slot: StrategySlot, frame: Frame, exc: BaseException) -> None:
        with slot.tally.lock:
            first = slot.tally.counts().failed == 0
            slot.tally.count("evaluated")
            slot.tally.count("failed")
            slot.faults_in_a_row += 1
            off = slot.faults_in_a_row >= MAX_FAULTS_IN_A_ROW and not slot.disabled
            if off:
                slot.disabled = slot.tally.disabled = True
        who = f"strategy {slot.name!r} (plugin {slot.plugin!r})"
        if first:
            self._report(f"{who}: frame {frame.frame_id!r}: {type(exc).__name__}: {exc}", exc)
        if off:
            self._report(
                f"{who} is switched off after {MAX_FAULTS_IN_A_ROW} faults in a row; the last was "
                f"{type(exc).__name__}: {exc}",
                None,
            )


def _checked(verdict: object) -> Verdict:
    if type(verdict) is not Verdict:
        raise TypeError(f"evaluate returned {verdict!r}: return a Verdict")
    if not 0.0 <= verdict.probability <= 1.0:
        raise ValueError(f"probability {verdict.probability!r} is not between 0 and 1")
    if not math.isfinite(verdict.utility):
        raise ValueError(f"utility {verdict.utility!r} is not a finite number")
    fields = (verdict.match, verdict.utility, verdict.probability, verdict.reason)
    if tuple(map(type, fields)) in _PLAIN:
        return verdict
    # A comparison of numpy scalars gives numpy's own bool, which JSON cannot write.
    return Verdict(
        match=bool(verdict.match),
        utility=float(verdict.utility),
        probability=float(verdict.probability),
        reason=str(verdict.reason),
    )
