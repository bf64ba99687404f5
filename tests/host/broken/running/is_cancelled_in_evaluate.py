"""Every frame is too much for it, since its own event loop ends."""

import asyncio

from al_framework.api import Strategy, hookimpl


class Bad(Strategy):
    type_name = "is_cancelled_in_evaluate"

    def evaluate(self, frame, prediction):
        raise asyncio.CancelledError("too late")


@hookimpl
def al_register_strategies():
    return [Bad]
