"""Roboflow's sampling strategies as pure scorers: the condition here, the draw in the engine.

Upstream draws its random number only after the condition held; the engine draws against
`Verdict.probability` instead, which selects the same frames with the same chance.

Source: Roboflow inference 1.8.3 (2026-08), ``core/active_learning/samplers``.
"""

from al_framework_roboflow.strategies.classes_based import ClassesBased
from al_framework_roboflow.strategies.close_to_threshold import CloseToThreshold
from al_framework_roboflow.strategies.detections_number_based import DetectionsNumberBased
from al_framework_roboflow.strategies.random_sampling import RandomSampling

__all__ = ["ClassesBased", "CloseToThreshold", "DetectionsNumberBased", "RandomSampling"]
