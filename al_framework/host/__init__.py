"""Find plugins, isolate the broken ones, and answer for the rest."""

from al_framework.host.plugins import PluginHost, PluginRecord, PluginState
from al_framework.host.registry import Conflict, Registration, Registry

__all__ = ["Conflict", "PluginHost", "PluginRecord", "PluginState", "Registration", "Registry"]
