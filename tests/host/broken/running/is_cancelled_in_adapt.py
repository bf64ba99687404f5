"""It reads no prediction, since its own event loop ends."""

import asyncio

from al_framework.api import PredictionAdapter, hookimpl


class Bad(PredictionAdapter):
    type_name = "is_cancelled_in_adapt"

    def accepts(self, document):
        return True

    def adapt(self, document, *, frame, prediction_type):
        raise asyncio.CancelledError("too late")


@hookimpl
def al_register_prediction_adapters():
    return [Bad]
