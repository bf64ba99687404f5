"""Take the frames of which a model is least sure, by the entropy of its confidences."""

import numpy as np
from al_framework.api import Detections, Frame, Options, Prediction, Strategy, Verdict, hookimpl
from pydantic import Field


class EntropyOptions(Options):
    minimum: float = Field(0.9, ge=0, le=1, description="Entropy (0 to 1) from which to take one.")


class Entropy(Strategy[EntropyOptions]):
    """Classes: entropy over them all. Objects: mean of the three most uncertain."""

    type_name = "entropy"
    tasks = frozenset({"object-detection", "instance-segmentation", "classification"})

    def evaluate(self, frame: Frame, prediction: Prediction) -> Verdict:
        scores = np.asarray(getattr(prediction, "confidence", ()), dtype=np.float64)
        p = scores.clip(1e-12, 1 - 1e-12)
        if isinstance(prediction, Detections):
            bits = np.sort(-p * np.log2(p) - (1 - p) * np.log2(1 - p))
            entropy = float(bits[-3:].mean()) if bits.size else 0.0
        else:
            p = p / p.sum()
            entropy = float(-(p * np.log(p)).sum() / np.log(max(p.size, 2)))
        reason = f"entropy {entropy:.2f} of {self.options.minimum:.2f} needed"
        return Verdict(match=entropy >= self.options.minimum, utility=entropy, reason=reason)


@hookimpl
def al_register_strategies() -> list[type[Entropy]]:
    return [Entropy]
