"""Connections and answers that fail are told apart by what the caller can do."""

import socket
import ssl

import pytest
import requests
import urllib3
from pydantic import SecretStr

from al_framework_roboflow.answers import RoboflowApiError
from al_framework_roboflow.client import RoboflowClient

STATUS_ADVICE = [
    (400, "it will not be taken"),
    (401, "check api_key"),
    (402, "check the plan of the workspace"),
    (403, "check what api_key has access to"),
    (404, "check workspace and project, and whether api_key belongs to them"),
    (407, "check the proxy's user and password"),
    (413, "send smaller pictures, see max_image_size"),
    (423, "the workspace is paused, which its owner can end"),
    (429, "there are too many requests, so wait"),
    (500, "the server failed, so try later"),
    (503, "the server failed, so try later"),
]


@pytest.mark.parametrize(("status", "advice"), STATUS_ADVICE)
def test_a_status_says_what_to_do(server, client, status, advice):
    server.say({"error": "e"}, status=status, headers={"Retry-After": "7"})

    with pytest.raises(RoboflowApiError) as caught:
        client.jobs("ws", "ds")

    error = caught.value
    assert f"GET {server.url}/ws/ds/jobs: the answer is {status} with " in str(error)
    assert str(error).endswith(f"""'{{"error": "e"}}': {advice}""")
    assert (error.kind, error.status, error.retry_after_s) == ("status", status, 7.0)


def test_a_redirect_is_not_followed(server, client):
    server.say({}, status=307, headers={"Location": f"{server.url}/elsewhere"})

    message = "the answer is 307, a redirect, which is never followed: correct api_url"
    with pytest.raises(RoboflowApiError, match=message) as caught:
        client.workspace()

    assert caught.value.kind == "configuration"
    assert len(server.requests) == 1


def test_an_endless_answer_is_cut_off(server, client):
    server.say(text="x" * (1024 * 1024 + 1))

    message = "the answer is longer than 1048576 bytes: check that api_url is the address"
    with pytest.raises(RoboflowApiError, match=message) as caught:
        client.workspace()

    assert caught.value.kind == "malformed"


def test_a_dropped_connection_is_unreachable(server, client):
    server.say(drop=True)

    message = rf"GET {server.url}/: the connection failed \(.+\): check the network and api_url"
    with pytest.raises(RoboflowApiError, match=message) as caught:
        client.workspace()

    assert (caught.value.kind, caught.value.status) == ("unreachable", None)


def test_an_answer_that_breaks_off_is_unreachable(server, client):
    server.say(text="{", headers={"Content-Length": "500"})

    with pytest.raises(RoboflowApiError, match="the connection failed") as caught:
        client.workspace()

    assert caught.value.kind == "unreachable"


def test_a_refused_connection_is_unreachable():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = RoboflowClient(api_key=SecretStr("k"), api_url=url)

        with pytest.raises(RoboflowApiError, match=r"\(Connection refused\)") as caught:
            client.workspace()

    assert caught.value.kind == "unreachable"


def test_silence_is_a_timeout(server):
    server.say(hang=True)
    client = RoboflowClient(api_key=SecretStr("k"), api_url=server.url, timeout_s=0.05)

    message = r"no answer within 0.05 s: check the network, or raise timeout_s"
    with pytest.raises(RoboflowApiError, match=message) as caught:
        client.workspace()

    assert caught.value.kind == "timeout"
    client.close()


def raising(monkeypatch, exc):
    def request(*args, **kwargs):
        raise exc

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", request)


def test_an_answer_that_stops_half_way_is_a_timeout(monkeypatch):
    inner = urllib3.exceptions.ReadTimeoutError(None, "/", "Read timed out.")
    raising(monkeypatch, requests.ConnectionError(inner))

    with pytest.raises(RoboflowApiError, match="no answer within 30 s") as caught:
        RoboflowClient(api_key=SecretStr("k")).workspace()

    assert caught.value.kind == "timeout"


def test_an_unknown_host_is_a_fault_of_the_configuration(monkeypatch):
    cause = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    inner = urllib3.exceptions.NameResolutionError("rf.invalid", None, cause)
    inner.__cause__ = cause
    raising(
        monkeypatch, requests.ConnectionError(urllib3.exceptions.MaxRetryError(None, "/", inner))
    )

    with pytest.raises(RoboflowApiError, match=r"is no host 'rf\.invalid': correct") as caught:
        RoboflowClient(api_key=SecretStr("k"), api_url="https://rf.invalid").workspace()

    assert caught.value.kind == "configuration"


def test_an_untrusted_certificate_is_a_fault_of_the_configuration(monkeypatch):
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "self-signed certificate"
    inner = urllib3.exceptions.MaxRetryError(None, "/", urllib3.exceptions.SSLError(cause))
    raising(monkeypatch, requests.exceptions.SSLError(inner))

    message = r"certificate is not trusted \(self-signed certificate\): correct api_url, or install"
    with pytest.raises(RoboflowApiError, match=message) as caught:
        RoboflowClient(api_key=SecretStr("k")).workspace()

    assert caught.value.kind == "configuration"


def test_an_unusable_address_is_a_fault_of_the_configuration():
    client = RoboflowClient(api_key=SecretStr("k"), api_url="ftp://example.test")

    message = r"GET ftp://example.test/: the address cannot be used \(InvalidSchema\): correct"
    with pytest.raises(RoboflowApiError, match=message) as caught:
        client.workspace()

    assert caught.value.kind == "configuration"
