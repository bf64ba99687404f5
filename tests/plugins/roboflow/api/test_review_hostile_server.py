"""A server that answers what no server should, and addresses that are none."""

import sys
import threading

import pydantic
import pytest
from pydantic import SecretStr

from al_framework.api import SinkPausedError, Target, TransientSinkError
from al_framework.testing import FakeCheckpoint, make_context, sample_datapoint
from al_framework_roboflow.client import RoboflowApiError, RoboflowClient
from al_framework_roboflow.connection import ConnectionOptions
from al_framework_roboflow.sink import RoboflowSink
from al_framework_roboflow.transport import Transport

SECRET = "rf-0123456789-secret"
LONG = "x" * 300_000


@pytest.fixture
def client(server):
    made = RoboflowClient(api_key=SecretStr(SECRET), api_url=server.url, timeout_s=5)
    yield made
    made.close()


@pytest.fixture
def sink(server, tmp_path):
    options = RoboflowSink.Options(api_key=SECRET, project="ds", api_url=server.url)
    made = RoboflowSink(options, make_context(tmp_path, name="rf"))
    yield made
    made.close()


def upload(client, **changes):
    given = {"name": "n.jpg", "batch": "b", **changes}
    return client.upload("ds", b"x", **given)


@pytest.mark.parametrize(
    ("answer", "ask"),
    [
        ({"workspace": f"no {SECRET}"}, lambda client: client.workspace()),
        ({"project": {"type": f"{SECRET}!"}}, lambda client: client.project_type("ws", "ds")),
        ({"batches": [{"images": SECRET}]}, lambda client: client.batches("ws", "ds")),
        ({"success": True, "id": f"{SECRET} "}, upload),
    ],
)
def test_an_answer_that_repeats_the_key_is_shown_nowhere(server, client, answer, ask, texts_of):
    server.say(answer)

    with pytest.raises(RoboflowApiError, match="the answer 200 holds") as caught:
        ask(client)

    assert [text for text in texts_of(caught.value) if SECRET in text] == []


@pytest.mark.parametrize(
    ("answer", "ask"),
    [
        ({"workspace": LONG + "!"}, lambda client: client.workspace()),
        ({"workspace": LONG}, lambda client: client.workspace()),
        ({"project": {"type": LONG}}, lambda client: client.project_type("ws", "ds")),
        ({"success": True, "id": LONG}, upload),
    ],
)
def test_a_name_without_end_is_malformed_and_shown_in_short(server, client, answer, ask):
    server.say(answer)

    with pytest.raises(RoboflowApiError, match=r"xxx\.\.\.: check that api_url") as caught:
        ask(client)

    assert caught.value.kind == "malformed"
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("image_id", [".", "..", "a b", "a\nb", "é"])
def test_an_id_that_fits_into_no_address_is_malformed(server, client, image_id):
    server.say({"success": True, "id": image_id})

    with pytest.raises(RoboflowApiError, match="holds the id ") as caught:
        upload(client)

    assert caught.value.kind == "malformed"


def test_an_id_that_moves_the_address_does_not_pause_the_sink(server, sink):
    server.say({"success": True, "id": ".."})

    with pytest.raises(TransientSinkError, match=r"holds the id '\.\.'"):
        sink.deliver(sample_datapoint(), FakeCheckpoint())


@pytest.mark.parametrize(
    ("status", "error"), [(503, TransientSinkError), (401, SinkPausedError), (302, SinkPausedError)]
)
def test_the_status_counts_however_long_the_page_is(server, sink, status, error):
    server.say(status=status, text="x" * 3_000_000, headers={"Retry-After": "7"})

    with pytest.raises(error) as caught:
        sink.deliver(sample_datapoint(), FakeCheckpoint())

    assert len(str(caught.value)) < 600
    if status == 503:
        assert caught.value.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("key", "entry"),
    [("images", {"images": -1}), ("numJobs", {"images": 1, "numJobs": -1})],
)
def test_a_batch_holds_no_negative_number_of_pictures(server, client, key, entry):
    server.say({"batches": [{"name": "b", "id": "1", **entry}]})

    with pytest.raises(RoboflowApiError, match=f"a strange (0|{key})"):
        client.batches("ws", "ds")


def test_a_workspace_that_was_renamed_is_asked_for_again(server, client):
    server.say({"workspace": "old"})
    server.say({"error": "gone"}, status=404)
    server.say({"workspace": "new"})
    client.workspace()
    with pytest.raises(RoboflowApiError, match="404"):
        client.project_type("old", "ds")

    assert client.workspace() == "new"


def test_a_batch_can_be_counted_after_the_workspace_was_renamed(server, sink):
    server.say({"workspace": "old"})
    server.say({"error": "gone"}, status=404)
    server.say({"workspace": "new"})
    server.say({"batches": []})
    with pytest.raises(RoboflowApiError, match="404"):
        sink.batch_size("b", Target())

    assert sink.batch_size("b", Target()) == 0
    assert server.requests[-1].path == "/new/ds/batches"


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".x"])
def test_a_host_that_is_none_is_a_fault_of_the_configuration_and_shows_no_key(host, texts_of):
    client = RoboflowClient(api_key=SecretStr(SECRET), api_url=f"http://{host}")

    with pytest.raises(
        RoboflowApiError, match=r"\(LocationParseError\): correct api_url"
    ) as caught:
        client.workspace()

    assert caught.value.kind == "configuration"
    assert [text for text in texts_of(caught.value) if SECRET in text] == []


@pytest.mark.parametrize("name", ["\ud800", "a\nb", "\x00"])
def test_a_name_that_cannot_be_written_is_refused(client, name):
    with pytest.raises(RoboflowApiError, match="is no name of a workspace, a project or an image"):
        client.project_type("ws", name)


def test_half_a_character_does_not_cost_the_picture(server, client):
    server.say({"success": True, "id": "i"})

    assert upload(client, inference_id="a\ud800b").image_id == "i"
    assert ("inference_id", "a?b") in server.requests[0].query


@pytest.mark.parametrize("text", ["key\n", "two words", "schlüssel", "\ud800"])
def test_an_api_key_with_what_no_key_has_is_refused_without_being_shown(text):
    with pytest.raises(pydantic.ValidationError) as caught:
        ConnectionOptions(api_key=text, project="p")

    [fault] = caught.value.errors(include_input=False, include_url=False, include_context=False)
    assert fault["loc"] == ("api_key",)
    assert fault["msg"].endswith(
        "holds a blank, a line end or a letter that no key of Roboflow has"
    )


def test_closing_disturbs_no_thread_that_begins_to_send():
    transport = Transport(
        api_key=SecretStr(SECRET), api_url="http://127.0.0.1:1", timeout_s=1, deadline_s=1
    )._http
    stopped, interval = threading.Event(), sys.getswitchinterval()

    begun = threading.Barrier(5)

    def begin():
        begun.wait(30)
        sessions = []
        while not stopped.is_set():
            transport._local.held = None  # as in a new thread
            sessions = [*sessions[-100:], transport._line()]

    threads = [threading.Thread(target=begin) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        begun.wait(30)  # what traces threads cannot bear it while they begin
        sys.setswitchinterval(1e-6)
        for _ in range(500):
            transport.close()
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
