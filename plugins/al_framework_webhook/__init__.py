"""Deliver to any HTTP endpoint of one's own: signed, repeatable, documented for its authors."""

from collections.abc import Sequence
from typing import Any

from al_framework.api import Sink, hookimpl


@hookimpl
def al_register_sinks() -> Sequence[type[Sink[Any]]]:
    """Return the sink `webhook`."""
    from al_framework_webhook.sink import WebhookSink

    return (WebhookSink,)
