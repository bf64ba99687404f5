"""A random share of all frames."""

from pydantic import Field

from al_framework.api import Context, Frame, Options, Prediction, Strategy, Verdict
from al_framework_roboflow.strategies.fields import Fraction


class RandomOptions(Options):
    """Options of `random`."""

    traffic_percentage: Fraction = Field(
        description="Share of all frames to take, from 0 (none) to 1 (every frame)."
    )


class RandomSampling(Strategy[RandomOptions]):
    """Takes a random share of all frames, whatever the model said about them.

    Source: Roboflow inference 1.8.3, ``active_learning/samplers/random.py``.
    """

    type_name = "random"
    scores_only = True

    def __init__(self, options: RandomOptions, context: Context) -> None:
        super().__init__(options, context)
        share = options.traffic_percentage
        # Verdicts never change, so one serves every frame.
        self._verdict = Verdict(
            match=True,
            utility=1.0,
            probability=share,
            reason=f"a random sample of {share * 100:.6g}% of all frames",
        )

    def evaluate(self, frame: Frame, prediction: Prediction) -> Verdict:
        """Match every frame, with the configured chance."""
        del frame, prediction
        return self._verdict
