"""Both network sinks against a server that fails in every way: one contract, every row of it."""

import pytest

from al_framework.api import Receipt, TransientSinkError
from al_framework.testing import (
    Answer,
    FakeCheckpoint,
    FakeClock,
    FaultServer,
    NetworkSinkContract,
    make_context,
    sample_datapoint,
)
from al_framework_roboflow.sink import RoboflowSink
from al_framework_webhook.sink import WebhookSink

UPLOADED = Answer(body={"success": True, "id": "img-1"})
ANNOTATED = Answer(body={"success": True})


class CanaryContract(NetworkSinkContract):
    """Its key is the run's, which is searched for in everything at the end."""

    @pytest.fixture(autouse=True)
    def _with_the_key_of_the_run(self, canary):
        self.secret = canary.key


class TestRoboflow(CanaryContract):
    component = RoboflowSink
    answers = (UPLOADED, ANNOTATED)
    passing = {1: {404}}  # a picture can be annotated a moment after its upload only

    def connected(self, url, *, patience_s):
        return {
            "api_key": self.secret,
            "project": "ds",
            "api_url": url,
            "allow_insecure": True,  # for a host that there is not
            "timeout_s": patience_s,
            "deadline_s": 2 * patience_s if patience_s < 10 else 55,
        }

    @pytest.mark.parametrize("body", [{"duplicate": True, "id": "old"}, {"duplicate": True}])
    def test_a_duplicate_is_known_with_and_without_its_id(self, tmp_path, body):
        with self._served(tmp_path) as (server, sink):
            server.say(Answer(body=body), ANNOTATED)

            receipt = sink.deliver(sample_datapoint(), FakeCheckpoint())

            assert Receipt(status="duplicate", remote_id=body.get("id")) == receipt
            assert len(server.requests) == (2 if "id" in body else 1)

    def test_a_picture_that_settles_late_is_uploaded_once_and_annotated(self, tmp_path):
        clock, checkpoint = FakeClock(), FakeCheckpoint()
        with FaultServer() as server:
            options = RoboflowSink.Options(**self.connected(server.url, patience_s=5))
            sink = RoboflowSink(options, make_context(tmp_path, clock=clock))
            server.say(UPLOADED, *[Answer(status=404)] * 3, ANNOTATED)
            for _ in range(3):
                with pytest.raises(TransientSinkError, match="is not there yet"):
                    sink.deliver(sample_datapoint(), checkpoint)
                clock.advance(1)

            receipt = sink.deliver(sample_datapoint(), checkpoint)
            sink.close()

        assert Receipt(status="created", remote_id="img-1") == receipt
        assert [request.path.split("/")[3] for request in server.requests] == [
            "upload",
            *["annotate"] * 4,
        ]


class TestWebhook(CanaryContract):
    component = WebhookSink
    answers = (Answer(status=202, body={"id": "7"}),)
    pausing = frozenset({405, 410})

    def connected(self, url, *, patience_s):
        return {
            "url": url,
            "allow_insecure": True,
            "secret": "whsec_" + "c2VjcmV0" * 4,
            "headers": {"Authorization": f"Bearer {self.secret}"},
            "query": {"code": self.secret},
            "timeout_s": patience_s,
            "deadline_s": 2 * patience_s if patience_s < 10 else 55,
        }
