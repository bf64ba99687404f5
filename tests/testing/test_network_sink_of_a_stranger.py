"""A whole network sink in forty lines, as a third party would write it, passes the contract."""

from pydantic import Field, SecretStr

from al_framework.api import Options, Receipt, Sink
from al_framework.api.http import HttpClient, HttpError, Timeouts, sink_error
from al_framework.testing import Answer, NetworkSinkContract


class BoxOptions(Options):
    url: str = Field(description="Address of the box.")
    key: SecretStr = Field(description="Key of the box.")
    patience_s: float = Field(default=30.0, description="Seconds of silence to bear.")


class BoxSink(Sink[BoxOptions]):
    """Put the picture, then its tags."""

    type_name = "box"

    def __init__(self, options, context):
        super().__init__(options, context)
        total_s = min(2 * options.patience_s, 45)
        self._http = HttpClient(
            secret_headers={"X-Key": options.key},
            timeouts=Timeouts(read_s=options.patience_s, total_s=total_s),
        )

    def deliver(self, datapoint, checkpoint):
        address = f"{self.options.url}/{datapoint.item_id}"
        who = f"sink {self.context.name!r}: datapoint {datapoint.item_id!r}"
        try:
            if "stored" not in checkpoint.state:
                self._put(f"{address}.jpg", datapoint.image)
                checkpoint.save(stored="yes")
            self._put(f"{address}.txt", ",".join(datapoint.tags).encode())
        except HttpError as exc:
            error = sink_error(exc, who=who, checkpoint=checkpoint)
        else:
            return Receipt(status="created", remote_id=datapoint.item_id)
        raise error

    def _put(self, address, body):
        reply = self._http.send("PUT", address, body=body, accept={409})
        if reply.status != 409:
            reply.document()

    def close(self):
        self._http.close()


class TestBox(NetworkSinkContract):
    component = BoxSink
    answers = (Answer(body={"ok": 1}), Answer(body={"ok": 2}))
    secret = "box-canary-0123456789"

    def connected(self, url, *, patience_s):
        return {"url": url, "key": self.secret, "patience_s": patience_s}
