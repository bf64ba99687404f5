"""Frame, Prediction → Verdicts: ask every strategy, and survive any of them.

This is the hot path: plain calls on bound methods, no logging above debug, no copying of images.
A strategy that raises is counted and left out for that frame; after twenty faults in a row it is
switched off, since a broken strategy that silently matches nothing looks like a quiet day.
"""

import math
import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from al_framework.api import Frame, Prediction, Strategy, StrategyVerdict, Unlabelled, Verdict
from al_framework.api._faults import named_text_of, plugin_errors
from al_framework.pipeline.forking import tell_after_fork
from al_framework.pipeline.selection import drawer
from al_framework.pipeline.sharing import read_only
from al_framework.pipeline.tally import StrategyTally

MAX_FAULTS_IN_A_ROW = 20
_REMEDY = "repair or update the plugin, or take the strategy out"
_PLAIN = frozenset((bool, u, p, str) for u in (float, int) for p in (float, int))

FaultReporter = Callable[[str, BaseException | None], None]
Seen: TypeAlias = tuple[Verdict, StrategyVerdict | None]


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
        evaluate: Asks the strategy; a stateful one is asked one frame at a time.
        seen: The last verdict that was found good, with its entry if it is a refusal: most
            strategies say the same of most frames, and a verdict cannot change.
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
        self.scores_only = strategy.scores_only
        self.tally = tally
        self.faults_in_a_row = 0
        self.disabled = False
        self.evaluate: Callable[[Frame, Prediction], object] = self._in_turn
        self.seen: Seen = (Verdict(match=False), None)  # nobody else has this one
        self._build = build
        self._stateful = strategy.stateful
        self._instances: dict[str, Strategy] = {}
        # Callers of the library may bring frames on several threads at once.
        self._lock = threading.Lock()
        if not self._stateful:
            self._instances[""] = stateless = build("")
            self.evaluate = stateless.evaluate
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

    def instances(self) -> dict[str, Strategy]:
        """Return every instance built so far by source; stateless ones stand under ``""``."""
        return dict(self._instances)

    def _in_turn(self, frame: Frame, prediction: Prediction) -> object:
        """Ask a stateful strategy, one frame at a time."""
        strategy = self.instance(frame.source)
        with self._lock:
            return strategy.evaluate(frame, prediction)


class Sampler:
    """Asks the strategies, in configuration order.

    Args:
        slots: The strategies.
        seed: Seed of the draws.
        report: Told of a strategy's first fault and of its being switched off.

    Attributes:
        has_pixel_strategies: Whether some of them read pixels.
        scores_only: Whether the others look at names and confidences alone.
    """

    def __init__(self, slots: Sequence[StrategySlot], *, seed: int, report: FaultReporter) -> None:
        self.slots = tuple(slots)
        self.seed = seed
        self.has_pixel_strategies = any(slot.needs_pixels for slot in slots)
        self.scores_only = all(slot.scores_only or slot.needs_pixels for slot in slots)
        self._report = report
        self._positions = {slot.name: position for position, slot in enumerate(slots)}
        self._by_need = {
            need: tuple(
                (slot, drawer(seed, slot.name)) for slot in slots if slot.needs_pixels is need
            )
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
        task, is_stub = prediction.prediction_type, isinstance(prediction, Unlabelled)
        for slot, draw in slots:
            if slot.disabled:
                continue
            tasks, tally = slot.tasks, slot.tally
            # Stubs are shown to those only that are about everything.
            if tasks is not None and (is_stub or task not in tasks):
                tally.count("not_eligible")
                continue
            try:
                verdict = slot.evaluate(frame, prediction)
                known, entry = slot.seen
                if verdict is not known:
                    known, entry = _looked_at(slot, verdict)
            except plugin_errors() as exc:  # a plugin boundary
                # One strategy must take neither the others nor the program with it.
                self._fault(slot, frame, exc)
                continue
            slot.faults_in_a_row = 0
            if entry is None:
                entry = StrategyVerdict(slot.name, known, draw(frame.frame_id))
                tally.judge(matched=True, selected=entry.selected)
            else:
                tally.judge(matched=False, selected=False)
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
            seen = f"frame {frame.frame_id!r}: {named_text_of(exc)}"
            self._report(f"{who}: {seen}: {_REMEDY}", exc)
        if off:
            self._report(
                f"{who} is switched off after {MAX_FAULTS_IN_A_ROW} faults in a row; the last was "
                f"{named_text_of(exc)}: {_REMEDY}",
                None,
            )


def _looked_at(slot: StrategySlot, said: object) -> Seen:
    """Return what a strategy says as a verdict, with its entry if it is a refusal."""
    verdict = _checked(said)
    seen = (verdict, None if verdict.match else StrategyVerdict(slot.name, verdict, None))
    if verdict is said:  # else it said so in numbers of another kind, and is asked to convert again
        slot.seen = seen
    return seen


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
    match: object = verdict.match
    if match is None or not hasattr(match, "__bool__"):  # "no" would be a yes
        raise TypeError(f"match {match!r} is neither true nor false: give True or False")
    # A comparison of numpy scalars gives numpy's own bool, which JSON cannot write.
    return Verdict(
        match=bool(verdict.match),
        utility=float(verdict.utility),
        probability=float(verdict.probability),
        reason=str(verdict.reason),
    )
