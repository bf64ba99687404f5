"""The sink `webhook`: one signed POST for each datapoint.

The receiver's side is written down in ``docs/webhook.md``.
"""

import ssl

from al_framework.api import (
    Checkpoint,
    Context,
    Datapoint,
    PermanentSinkError,
    Receipt,
    Sink,
    SinkPausedError,
)
from al_framework.api.http import HttpClient, HttpError, Timeouts, Wording, sink_error
from al_framework_webhook.messages import message, receipt
from al_framework_webhook.options import WebhookSinkOptions
from al_framework_webhook.signing import signed_headers

# What says that the address is wrong rather than the datapoint; 410 means "stop" to Standard
# Webhooks. Given up would be every datapoint.
_PAUSING = frozenset({405, 410})
_WORDING = Wording(
    peer="the receiver",
    advice={
        401: "check headers and secret",
        403: "check headers and secret",
        404: "check url",
        405: "check url: nothing takes POST there",
        410: "the receiver wants no more: correct url or remove the sink",
    },
)


class WebhookSink(Sink[WebhookSinkOptions]):
    """Send each datapoint to an address of one's own."""

    type_name = "webhook"

    def __init__(self, options: WebhookSinkOptions, context: Context) -> None:
        super().__init__(options, context)
        self._ca_file = None if options.ca_file is None else context.resolve(options.ca_file)
        self._http = HttpClient(
            secret_headers=options.headers,
            secret_query=options.query,
            secrets=(options.secret,),
            ca_file=self._ca_file,
            headers={"Content-Type": "application/json"},
            timeouts=Timeouts(read_s=options.timeout_s, total_s=options.deadline_s),
            wording=_WORDING,
        )

    @property
    def location(self) -> str:
        """The address."""
        return self.options.url

    def start(self) -> None:
        """Read the certificate authorities, if there are any of one's own.

        Raises:
            SinkPausedError: They cannot be read.
        """
        if self._ca_file is None:
            return
        try:
            ssl.create_default_context(cafile=self._ca_file)
        except OSError as exc:
            raise SinkPausedError(
                f"sink {self.context.name!r}: {str(self._ca_file)!r} holds no certificate "
                f"({exc.strerror or type(exc).__name__}): correct ca_file"
            ) from exc

    def deliver(self, datapoint: Datapoint, checkpoint: Checkpoint) -> Receipt:
        """Send the datapoint; its receiver knows a repeated one by its id.

        Raises:
            TransientSinkError: The receiver cannot be reached, failed, or has no time.
            PermanentSinkError: The receiver refuses the datapoint for good, or JSON cannot
                express it.
            SinkPausedError: Address, certificate or key is at fault.
        """
        who = f"sink {self.context.name!r}: datapoint {datapoint.item_id!r}"
        try:
            body = message(datapoint)
        except ValueError as exc:
            raise PermanentSinkError(f"{who}: cannot be written as JSON: {exc}") from exc
        headers = signed_headers(
            self.options.secret,
            message_id=datapoint.item_id,
            sent_at=self.context.clock.time(),
            body=body,
        )
        try:
            return receipt(
                self._http.send("POST", self.options.url, body=body, headers=headers, accept={409})
            )
        except HttpError as exc:
            error = sink_error(exc, who=who, checkpoint=checkpoint, pausing=_PAUSING)
        raise error

    def close(self) -> None:
        """Close every connection."""
        self._http.close()
