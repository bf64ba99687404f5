from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from al_framework.api import Classification, Prediction, Verdict
from al_framework.testing import (
    StrategyContract,
    make_context,
    sample_detections,
    sample_frame,
    sample_predictions,
)

from al_framework_entropy import Entropy, EntropyOptions, al_register_strategies


class TestEntropy(StrategyContract):
    component = Entropy
    options: ClassVar[Mapping[str, object]] = {"minimum": 0.8}


def evaluate(prediction: Prediction, directory: Path, minimum: float = 0.9) -> Verdict:
    strategy = Entropy(EntropyOptions(minimum=minimum), make_context(directory))
    return strategy.evaluate(sample_frame(), prediction)


@pytest.mark.parametrize(
    ("scores", "expected"), [((0.5, 0.5), 1.0), ((0.25,) * 4, 1.0), ((1.0, 0.0), 0.0), ((), 0.0)]
)
def test_entropy_goes_from_none_to_no_idea(
    scores: tuple[float, ...], expected: float, tmp_path: Path
) -> None:
    names = tuple(map(str, range(len(scores))))
    prediction = Classification(
        class_name=names, confidence=np.array(scores), image_size=(64, 48), top="0"
    )

    assert evaluate(prediction, tmp_path).utility == pytest.approx(expected, abs=1e-9)


def test_objects_count_by_the_three_most_uncertain(tmp_path: Path) -> None:
    found = sample_detections(5)  # 0.9, 0.7, 0.5, 0.3, 0.1

    verdict = evaluate(found, tmp_path, minimum=0.9)

    assert verdict.match
    assert verdict.reason == "entropy 0.92 of 0.90 needed"
    assert not evaluate(sample_predictions()["no detections"], tmp_path).match


def test_the_plugin_registers_its_strategy() -> None:
    assert al_register_strategies() == [Entropy]
