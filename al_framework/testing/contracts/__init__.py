"""Contracts: what every component of a kind has to do, as tests to inherit.

Subclass the contract of your kind in a test module, name the component, and pytest runs every
check on it::

    class TestEntropy(StrategyContract):
        component = Entropy
        options = {"minimum": 0.5}

The built-in components are tested by the same classes.
"""

from al_framework.testing.contracts.adapters import AdapterContract
from al_framework.testing.contracts.component import ComponentContract
from al_framework.testing.contracts.network import NetworkSinkContract
from al_framework.testing.contracts.predictors import PredictorContract
from al_framework.testing.contracts.providers import ConfigurationProviderContract
from al_framework.testing.contracts.sinks import SinkContract
from al_framework.testing.contracts.sources import SourceContract
from al_framework.testing.contracts.strategies import StrategyContract

__all__ = [
    "AdapterContract",
    "ComponentContract",
    "ConfigurationProviderContract",
    "NetworkSinkContract",
    "PredictorContract",
    "SinkContract",
    "SourceContract",
    "StrategyContract",
]
