"""Strategies, each wrong in one way."""

import random
import socket
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from al_framework.api import Detections, Options, Strategy, Verdict
from al_framework.testing import StrategyContract


class GoodOptions(Options):
    level: float = Field(default=0.5, description="A number.")


class GoodStrategy(Strategy[GoodOptions]):
    type_name = "good"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


class StrategyTest(StrategyContract):
    component = GoodStrategy
    options: ClassVar = {"level": 0.25}


class HidesTheBoxes(GoodStrategy):
    scores_only = True

    def evaluate(self, frame, prediction):
        return Verdict(match=bool(np.any(prediction.xyxy)))


class HidesWhichType(GoodStrategy):
    scores_only = True

    def evaluate(self, frame, prediction):
        return Verdict(match=type(prediction) is Detections)


class NoVerdict(GoodStrategy):
    def evaluate(self, frame, prediction):
        return True


class NumpyMatch(GoodStrategy):
    def evaluate(self, frame, prediction):
        return Verdict(match=np.True_)


class InfiniteUtility(GoodStrategy):
    def evaluate(self, frame, prediction):
        return Verdict(match=True, utility=float("inf"))


class ChanceAboveOne(GoodStrategy):
    def evaluate(self, frame, prediction):
        return Verdict(match=True, probability=1.5)


class NoReason(GoodStrategy):
    def evaluate(self, frame, prediction):
        return Verdict(match=True, reason=None)


class FailsOnEmpty(GoodStrategy):
    tasks = frozenset({"object-detection"})

    def evaluate(self, frame, prediction):
        return Verdict(match=True, utility=float(prediction.confidence.tolist()[0]))


class OfNoKnownTask(GoodStrategy):
    tasks = frozenset({"telepathy"})


class Remembers(GoodStrategy):
    seen = 0

    def evaluate(self, frame, prediction):
        self.seen += 1
        return Verdict(match=True, utility=float(self.seen))


class RanksInOrder(GoodStrategy):
    """Wrong in a second run only, where the same frames come in another order."""

    def start(self):
        self.ranks = {}

    def evaluate(self, frame, prediction):
        rank = self.ranks.setdefault(type(prediction).__name__, len(self.ranks))
        return Verdict(match=True, utility=float(rank))


class WritesToArrays(GoodStrategy):
    tasks = frozenset({"object-detection"})

    def evaluate(self, frame, prediction):
        prediction.confidence[:] = 0
        return Verdict(match=True)


class WritesToTheDocument(GoodStrategy):
    def evaluate(self, frame, prediction):
        if prediction.document is not None:
            prediction.document["seen"] = True
        return Verdict(match=True)


class ReadsPixels(GoodStrategy):
    def evaluate(self, frame, prediction):
        return Verdict(match=bool(frame.image.pixels().any()))


class Draws(GoodStrategy):
    def evaluate(self, frame, prediction):
        random.random()
        return Verdict(match=True)


class DividesByTheBox(GoodStrategy):
    tasks = frozenset({"object-detection"})

    def evaluate(self, frame, prediction):
        left, top, right, bottom = prediction.xyxy.T.tolist()
        areas = [(r - x) * (b - y) for x, y, r, b in zip(left, top, right, bottom, strict=True)]
        return Verdict(match=True, utility=sum(1 / area for area in areas))


class TrustsScores(GoodStrategy):
    tasks = frozenset({"object-detection"})

    def evaluate(self, frame, prediction):
        return Verdict(match=True, probability=float(max(prediction.confidence, default=0.0)))


class ReadsTheClock(GoodStrategy):
    def evaluate(self, frame, prediction):
        return Verdict(match=True, utility=self.context.clock.time())


class Stateful(GoodStrategy):
    stateful = True

    def start(self):
        self.seen = 0

    def evaluate(self, frame, prediction):
        self.seen += 1
        return Verdict(match=True, utility=float(self.seen))

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


class StatefulTest(StrategyTest):
    component = Stateful


class ForgetsItsState(Stateful):
    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class KeepsArrays(Stateful):
    def state_dict(self):
        return {"seen": np.array(self.seen)}


class SharesItsState(Stateful):
    total = [0]

    def evaluate(self, frame, prediction):
        self.total[0] += 1
        return Verdict(match=True, utility=float(self.total[0]))


class ReadsAFile(GoodStrategy):
    def evaluate(self, frame, prediction):
        return Verdict(match=bool(Path(__file__).read_bytes()))


class LooksAround(GoodStrategy):
    def evaluate(self, frame, prediction):
        return Verdict(match=any(self.context.base_dir.iterdir()))


class CallsHome(GoodStrategy):
    def evaluate(self, frame, prediction):
        with socket.socket() as sock:
            sock.connect_ex(("127.0.0.1", 9))
        return Verdict(match=True)


class DrawsFromNumpy(GoodStrategy):
    def evaluate(self, frame, prediction):
        np.random.rand()  # noqa: NPY002 - it is what is wrong here
        return Verdict(match=True)


CONTRACTS = (StrategyTest, StatefulTest)
WRONG = [
    (StrategyTest, NoVerdict, "verdicts_are_well_formed", "it is a 'bool', not a Verdict"),
    (StrategyTest, NumpyMatch, "verdicts_are_well_formed", "has to be a bool"),
    (StrategyTest, InfiniteUtility, "verdicts_are_well_formed", "utility is inf: it has to be"),
    (StrategyTest, ChanceAboveOne, "verdicts_are_well_formed", "probability is 1.5: it has to"),
    (StrategyTest, NoReason, "verdicts_are_well_formed", "reason is None: it has to be a str"),
    (
        StrategyTest,
        FailsOnEmpty,
        "verdicts_are_well_formed",
        "evaluate fails on 'no detections': IndexError",
    ),
    (
        StrategyTest,
        OfNoKnownTask,
        "verdicts_are_well_formed",
        r"no sample is of the tasks frozenset\({'telepathy'}\): override predictions",
    ),
    (StrategyTest, Remembers, "equal_inputs_give_equal_verdicts", "verdicts on .* differ"),
    (StrategyTest, RanksInOrder, "equal_inputs_give_equal_verdicts", "verdicts on .* differ"),
    (
        StrategyTest,
        WritesToArrays,
        "predictions_are_not_written_to",
        "evaluate fails on .*read-only",
    ),
    (
        StrategyTest,
        WritesToTheDocument,
        "predictions_are_not_written_to",
        "evaluate has changed the prediction 'detections'",
    ),
    (
        StrategyTest,
        ReadsPixels,
        "pixels_are_read_only_if_announced",
        "evaluate reads pixels: set needs_pixels = True",
    ),
    (StrategyTest, Draws, "global_randomness_is_left_alone", "evaluate draws random numbers"),
    (
        StrategyTest,
        DividesByTheBox,
        "hostile_predictions_are_judged",
        "evaluate fails on 'boxes': ZeroDivisionError.*judge it, or raise PredictionError",
    ),
    (
        StrategyTest,
        TrustsScores,
        "hostile_predictions_are_judged",
        "the verdict on 'boxes' is malformed: probability is 1.5",
    ),
    (StrategyTest, ReadsTheClock, "equal_inputs_give_equal_verdicts", "verdicts on .* differ"),
    (StatefulTest, SharesItsState, "equal_inputs_give_equal_verdicts", "verdicts on .* differ"),
    (
        StatefulTest,
        ForgetsItsState,
        "state_survives_a_restart",
        "after a restart the verdict on .*state_dict has to hold all that verdicts depend on",
    ),
    (
        StatefulTest,
        KeepsArrays,
        "state_survives_a_restart",
        r"state_dict gives {'seen': array\(15\)}: it has to be JSON values",
    ),
    (
        StrategyTest,
        ReadsAFile,
        "evaluate_does_no_io",
        r"evaluate does I/O on 'detections' \(open of .*strategies.py'\): do that in start",
    ),
    (
        StrategyTest,
        HidesTheBoxes,
        "scores_suffice_if_announced",
        "evaluate fails on 'detections'.*it looks at more than names and confidences: leave scores",
    ),
    (
        StrategyTest,
        HidesWhichType,
        "scores_suffice_if_announced",
        "verdicts on .* differ: Verdict.match=True.* and Verdict.match=False",
    ),
    (
        StrategyTest,
        LooksAround,
        "evaluate_does_no_io",
        r"evaluate does I/O on .*os\.(listdir|scandir) of ",
    ),
    (StrategyTest, CallsHome, "evaluate_does_no_io", "evaluate does I/O on .*socket.connect of "),
    (
        StrategyTest,
        DrawsFromNumpy,
        "global_randomness_is_left_alone",
        "evaluate draws random numbers: set probability",
    ),
]
