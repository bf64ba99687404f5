"""Delivery: takes datapoints out of the spool and hands them to the sinks, again if need be.

At least once for every sink; exactly once where the sink recognises what it already holds.
"""

from al_framework.pipeline.delivery.breaker import Breaker
from al_framework.pipeline.delivery.checkpoint import LeaseCheckpoint
from al_framework.pipeline.delivery.pacing import Pace
from al_framework.pipeline.delivery.retry import RetryRules
from al_framework.pipeline.delivery.worker import Delivery

__all__ = ["Breaker", "Delivery", "LeaseCheckpoint", "Pace", "RetryRules"]
