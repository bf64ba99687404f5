"""A whole network sink in forty lines, as a third party would write it, passes the contract.

Changed in one way each, it is caught by what it would do to a server or to a run.
"""

import contextlib

import pytest
import requests
from pydantic import Field, SecretStr

from al_framework.api import Options, Receipt, Sink, SinkPausedError, TransientSinkError
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


class CarefulBoxSink(BoxSink):
    """Look whether the picture is there, then put it."""

    type_name = "careful_box"

    def deliver(self, datapoint, checkpoint):
        address = f"{self.options.url}/{datapoint.item_id}.jpg"
        who = f"sink {self.context.name!r}: datapoint {datapoint.item_id!r}"
        try:
            found = self._http.send("GET", address, accept={404})
            if found.status != 404:
                return Receipt(status="duplicate", remote_id=found.document().get("id"))
            self._put(address, datapoint.image)
        except HttpError as exc:
            error = sink_error(exc, who=who, checkpoint=checkpoint)
        else:
            return Receipt(status="created", remote_id=datapoint.item_id)
        raise error


class TestCarefulBox(TestBox):
    component = CarefulBoxSink
    answers = (Answer(status=404), Answer(body={"ok": 1}))
    looking_up = (0,)


def test_the_404_of_a_look_up_has_to_be_announced(tmp_path):
    class Unannounced(TestCarefulBox):
        looking_up = ()

    with pytest.raises(AssertionError, match=r"^status 404 at request 0 gives .* SinkPausedError$"):
        Unannounced().test_every_status_has_its_verdict(tmp_path / "a")
    with pytest.raises(AssertionError, match=r"^409 at request 0 gives PermanentSinkError"):
        Unannounced().test_what_is_there_already_is_delivered(tmp_path / "b")


class AsksHowItWent(BoxSink):
    def deliver(self, datapoint, checkpoint):
        try:
            return super().deliver(datapoint, checkpoint)
        finally:
            with contextlib.suppress(HttpError):
                self._http.send("GET", self.options.url)


class TriesAgainWhenBusy(BoxSink):
    def _put(self, address, body):
        try:
            super()._put(address, body)
        except HttpError as exc:
            if exc.status != 503:
                raise
            super()._put(address, body)


class StaysBroken(BoxSink):
    is_broken = False

    def deliver(self, datapoint, checkpoint):
        if self.is_broken:
            raise TransientSinkError("the connection is broken")
        self.is_broken = True  # until the end is reached
        receipt = super().deliver(datapoint, checkpoint)
        self.is_broken = False
        return receipt


class FollowsRedirectsAndPauses(BoxSink):
    def deliver(self, datapoint, checkpoint):
        requests.put(self.options.url, timeout=5)  # goes wherever it is sent
        raise SinkPausedError("the address is wrong")


class TakesEverything(BoxSink):
    def deliver(self, datapoint, checkpoint):
        requests.put(self.options.url, timeout=5)  # reads an answer to its end
        raise TransientSinkError("the answer is too long")


class TrustsNobody(BoxSink):
    def deliver(self, datapoint, checkpoint):
        raise SinkPausedError("the certificate is not ours")


class LooksAtTheCertificateLate(BoxSink):
    def deliver(self, datapoint, checkpoint):
        try:
            return super().deliver(datapoint, checkpoint)
        except SinkPausedError:
            requests.put(self.options.url, timeout=5, verify=False)  # noqa: S501 - it is what is wrong here
            raise


def run(component, test, *arguments):
    case = type("Case", (TestBox,), {"component": component})()
    getattr(case, f"test_{test}")(*arguments)


@pytest.mark.parametrize(
    ("component", "test", "message"),
    [
        (
            AsksHowItWent,
            "a_delivery_makes_its_requests_once",
            "a delivery makes 3 requests instead of 2: a sink tries once",
        ),
        (
            TriesAgainWhenBusy,
            "every_status_has_its_verdict",
            "status 503 at request 0 makes 2 requests instead of 1: a sink tries once",
        ),
        (
            AsksHowItWent,
            "a_broken_connection_costs_one_attempt",
            "reset_at_once at request 0 makes 2 requests instead of 1: a sink tries once",
        ),
        (
            StaysBroken,
            "a_broken_connection_costs_one_attempt",
            "the attempt after reset_at_once at request 0 gives TransientSinkError",
        ),
        (FollowsRedirectsAndPauses, "no_redirect_is_followed", "a redirect is followed"),
        (
            TakesEverything,
            "an_endless_answer_is_not_taken",
            r"1048\d{5} bytes of an answer are taken",
        ),
    ],
)
def test_one_change_is_caught(tmp_path, component, test, message):
    with pytest.raises(AssertionError, match=message):
        run(component, test, tmp_path)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize(
    ("component", "message"),
    [
        (TrustsNobody, "a good certificate gives SinkPausedError"),
        (
            LooksAtTheCertificateLate,
            "certificate: expired makes 1 requests instead of 0: a sink tries once",
        ),
    ],
)
def test_one_change_of_trust_is_caught(tmp_path, monkeypatch, component, message):
    with pytest.raises(AssertionError, match=message):
        run(component, "only_a_good_certificate_is_trusted", tmp_path, monkeypatch)
