"""Contracts: what every component of a kind has to do, as tests to inherit.

Subclass the contract of your kind in a test module, name the component, and pytest runs every
check on it::

    class TestEntropy(StrategyContract):
        component = Entropy
        options = {"minimum": 0.5}

The built-in components are tested by the same classes.
"""

from al_framework.testing.contracts.component import ComponentContract
from al_framework.testing.contracts.endpoints import SinkContract, SourceContract
from al_framework.testing.contracts.network import NetworkSinkContract
from al_framework.testing.contracts.predictions import (
    AdapterContract,
    PredictorContract,
    StrategyContract,
)
from al_framework.testing.contracts.providers import ConfigurationProviderContract

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
