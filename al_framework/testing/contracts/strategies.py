"""What holds for strategies."""

import copy
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from al_framework.api import (
    Detections,
    Frame,
    FrameError,
    Prediction,
    Scores,
    Strategy,
    Unlabelled,
)
from al_framework.pipeline.glancing import glance
from al_framework.testing._checks import check, same, same_prediction, verdict_fault
from al_framework.testing._watching import watch_io
from al_framework.testing.contracts.component import ComponentContract
from al_framework.testing.fakes import FakeClock, sample_frame
from al_framework.testing.hostile import hostile_predictions
from al_framework.testing.samples import sample_predictions

_A_DAY_S = 86_400.0


def _scores(prediction: Detections) -> Scores:
    return Scores(prediction.class_name, prediction.confidence, prediction.prediction_type)


def _refuse_to_read() -> Prediction:
    raise AssertionError("it looks at more than names and confidences: leave scores_only = False")


class StrategyContract(ComponentContract[Strategy[Any]]):
    """What holds for a strategy: it scores, and does nothing else.

    Name the class and options that let it judge the samples; nothing more is needed::

        class TestEntropy(StrategyContract):
            component = Entropy
            options = {"minimum": 0.5}

    Besides what holds for every component: verdicts are well-formed, on hostile predictions too;
    equal inputs give equal verdicts, whatever the clock says; a stateful strategy goes on after
    `state_dict` and `load_state_dict` as if nothing had happened; predictions are not written to;
    pixels are read only where `needs_pixels` says so, and boxes are not where `scores_only` says
    so; `evaluate` reads no file, opens no
    connection, and leaves the global random numbers alone.

    A strategy of a task of its own overrides `predictions`.
    """

    _kind = "strategy"

    def predictions(self) -> Mapping[str, Prediction]:
        """Return predictions to evaluate by name; those it is not eligible for are left out."""
        return sample_predictions()

    def test_verdicts_are_well_formed(self, tmp_path: Path) -> None:
        """Whether the engine can use what it says of each kind of prediction."""
        for name, prediction in self._eligible().items():
            self._check_verdict(name, self._evaluate(self._started(tmp_path), name, prediction))

    def test_hostile_predictions_are_judged(self, tmp_path: Path) -> None:
        """Whether a strange prediction gives a verdict, or a `FrameError` that costs its frame."""
        for name, prediction in self._eligible_of(hostile_predictions()).items():
            strategy = self._started(tmp_path)
            try:
                verdict = strategy.evaluate(sample_frame(), prediction)
            except FrameError:
                continue
            except Exception as exc:
                raise AssertionError(
                    f"evaluate fails on {name!r}: {exc!r}: judge it, or raise PredictionError"
                ) from exc
            self._check_verdict(name, verdict)

    def test_equal_inputs_give_equal_verdicts(self, tmp_path: Path) -> None:
        """Whether a decision can be replayed: no clock, no chance, no memory unless `stateful`."""
        samples = self._eligible()
        one, other = self._started(tmp_path), self._started(tmp_path)
        if isinstance(other.context.clock, FakeClock):
            other.context.clock.advance(_A_DAY_S)
        first = self._verdicts(one, samples)
        if self.component.stateful:  # the same frames in the same order
            self._check_equal(first, self._verdicts(other, samples))
            return
        self._check_equal(first, self._verdicts(one, samples))
        self._check_equal(first, self._verdicts(other, dict(reversed([*samples.items()]))))

    def test_state_survives_a_restart(self, tmp_path: Path) -> None:
        """Whether a stateful strategy goes on where the last run ended."""
        if not self.component.stateful:
            return
        samples = self._eligible()
        one, other = self._started(tmp_path), self._started(tmp_path)
        self._verdicts(one, samples)
        state = one.state_dict()
        try:
            kept = json.loads(json.dumps(dict(state), allow_nan=False))
        except (TypeError, ValueError) as exc:
            raise AssertionError(
                f"state_dict gives {state!r:.200}: it has to be JSON values"
            ) from exc
        other.load_state_dict(kept)
        again = self._verdicts(other, samples)
        for name, verdict in self._verdicts(one, samples).items():
            check(
                verdict == again[name],
                f"after a restart the verdict on {name!r} is {again[name]}, without one {verdict}: "
                "state_dict has to hold all that verdicts depend on",
            )

    def test_predictions_are_not_written_to(self, tmp_path: Path) -> None:
        """Whether other strategies see the prediction as the model gave it; arrays refuse."""
        for name, prediction in self._eligible().items():
            before = copy.deepcopy(prediction)
            self._evaluate(self._started(tmp_path), name, prediction)
            intact = same_prediction(before, prediction)
            intact = intact and same(before.document, prediction.document)
            check(intact, f"evaluate has changed the prediction {name!r}")

    def test_pixels_are_read_only_if_announced(self, tmp_path: Path) -> None:
        """Whether a frame can be rejected without decoding it."""
        if self.component.needs_pixels:
            return
        for name, prediction in self._eligible().items():
            frame = sample_frame()
            self._evaluate(self._started(tmp_path), name, prediction, frame)
            check(not frame.image.decoded, "evaluate reads pixels: set needs_pixels = True")

    def test_scores_suffice_if_announced(self, tmp_path: Path) -> None:
        """Whether boxes can stay unread for a frame that nobody takes: as `scores_only` says."""
        if not self.component.scores_only:
            return
        for name, prediction in self._eligible().items():
            if isinstance(prediction, Detections):
                bare = glance(_scores(prediction), reader="", read=_refuse_to_read)
                verdicts = [
                    self._evaluate(self._started(tmp_path), name, one) for one in (prediction, bare)
                ]
                self._check_equal({name: verdicts[0]}, {name: verdicts[1]})

    def test_evaluate_does_no_io(self, tmp_path: Path) -> None:
        """Whether a frame can wait for a disk or a network, or for the import of a package."""
        samples = self._eligible()
        strategy = self._started(tmp_path)
        for name, prediction in samples.items():
            with watch_io() as seen:
                self._evaluate(strategy, name, prediction)
            found = ", ".join(seen[:3])
            check(not seen, f"evaluate does I/O on {name!r} ({found}): do that in start()")

    def test_global_randomness_is_left_alone(self, tmp_path: Path) -> None:
        """Whether the draw is left to the engine."""
        for name, prediction in self._eligible().items():
            before = _random_state()
            self._evaluate(self._started(tmp_path), name, prediction)
            intact = before == _random_state()
            check(intact, "evaluate draws random numbers: set probability")

    def _started(self, directory: Path) -> Strategy[Any]:
        strategy = self.build(directory)
        strategy.start()
        return strategy

    def _eligible(self) -> Mapping[str, Prediction]:
        samples = self._eligible_of(self.predictions())
        tasks = self.component.tasks
        check(samples, f"no sample is of the tasks {tasks}: override predictions()")
        return samples

    def _eligible_of(self, samples: Mapping[str, Prediction]) -> Mapping[str, Prediction]:
        tasks = self.component.tasks
        return {
            name: prediction
            for name, prediction in samples.items()
            if tasks is None
            or (prediction.prediction_type in tasks and not isinstance(prediction, Unlabelled))
        }

    @staticmethod
    def _check_verdict(name: str, verdict: object) -> None:
        fault = verdict_fault(verdict)
        check(fault is None, f"the verdict on {name!r} is malformed: {fault}")

    def _verdicts(
        self, strategy: Strategy[Any], samples: Mapping[str, Prediction]
    ) -> Mapping[str, object]:
        return {name: self._evaluate(strategy, name, samples[name]) for name in samples}

    @staticmethod
    def _check_equal(first: Mapping[str, object], other: Mapping[str, object]) -> None:
        for name, verdict in first.items():
            seen = other[name]
            check(verdict == seen, f"verdicts on {name!r} differ: {verdict} and {seen}")

    @staticmethod
    def _evaluate(
        strategy: Strategy[Any], name: str, prediction: Prediction, frame: Frame | None = None
    ) -> object:
        try:
            return strategy.evaluate(frame or sample_frame(), prediction)
        except Exception as exc:
            raise AssertionError(f"evaluate fails on {name!r}: {exc!r}") from exc


def _random_state() -> object:
    state: Any = np.random.get_state()  # noqa: NPY002 - the generator that nobody may draw from
    return random.getstate(), state[1].tolist(), state[2:]
