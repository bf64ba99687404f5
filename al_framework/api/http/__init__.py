"""What every sink needs that speaks HTTP, so that a new one is about its own service alone.

`HttpClient` makes one request, once, and ends it: no redirect is followed, every certificate is
checked, no ``.netrc`` is read, an answer holds a mebibyte at the most, and a deadline holds for the
request as a whole, also against a server that sends one byte at a time. What it raises is an
`HttpError` in which no secret is left. `sink_error` turns that into what the core has to know.

A whole sink::

    class BoxSink(Sink[BoxOptions]):
        type_name = "box"

        def __init__(self, options: BoxOptions, context: Context) -> None:
            super().__init__(options, context)
            self._http = HttpClient(secret_headers={"X-Key": options.key})

        def deliver(self, datapoint: Datapoint, checkpoint: Checkpoint) -> Receipt:
            address = f"{self.options.url}/{datapoint.item_id}.jpg"
            try:
                reply = self._http.send("PUT", address, body=datapoint.image, accept={409})
                status = "duplicate" if reply.status == 409 else "created"
                return Receipt(status=status, remote_id=reply.document().get("id"))
            except HttpError as exc:
                who = f"sink {self.context.name!r}: datapoint {datapoint.item_id!r}"
                error = sink_error(exc, who=who, checkpoint=checkpoint)
            raise error

        def close(self) -> None:
            self._http.close()

Not part of `al_framework.api` itself: whoever sends nothing should not pay for it.

.. versionadded:: 0.1
"""

from al_framework.api.http.answers import (
    MAX_REPLY_BYTES,
    MAX_RETRY_AFTER_S,
    FailureKind,
    HttpError,
    HttpReply,
    Wording,
    retry_after_s,
)
from al_framework.api.http.client import HttpClient, Timeouts
from al_framework.api.http.scrubbing import Scrubber, hide_parameters_in_logs
from al_framework.api.http.verdicts import MAX_ODD_ANSWERS, sink_error

__all__ = [
    "MAX_ODD_ANSWERS",
    "MAX_REPLY_BYTES",
    "MAX_RETRY_AFTER_S",
    "FailureKind",
    "HttpClient",
    "HttpError",
    "HttpReply",
    "Scrubber",
    "Timeouts",
    "Wording",
    "hide_parameters_in_logs",
    "retry_after_s",
    "sink_error",
]
