"""Connections that break, stall or cannot be trusted end in time, with an error that says which."""

import socket

import pytest
import requests

from al_framework.api.http import HttpError, Timeouts
from al_framework.testing import Answer, FaultServer
from al_framework.testing.certificates import make_certificates


def failure(client, server, **answer):
    server.say(Answer(**answer))
    with pytest.raises(HttpError) as caught:
        client.send("GET", f"{server.url}/x?q=hidden#f")
    return caught.value


@pytest.mark.parametrize("how", ["reset_at_once", "reset_unanswered", "reset_midway", "cut_midway"])
def test_a_broken_connection_is_unreachable(server, client, how):
    error = failure(client, server, how=how, body="x" * 100)

    assert str(error).startswith(f"GET {server.url}/x: the connection failed (")
    assert str(error).endswith("): check the network and url")
    assert (error.kind, error.status) == ("unreachable", None)


@pytest.mark.parametrize("how", ["hang_at_once", "hang_unanswered"])
def test_silence_is_a_timeout(server, make, how):
    client = make(timeouts=Timeouts(read_s=0.1, total_s=5))

    error = failure(client, server, how=how)

    assert str(error).endswith("no answer within 0.1 s: check the network, or raise timeout_s")
    assert error.kind == "timeout"


@pytest.mark.parametrize("how", ["drip_headers", "drip_body"])
def test_a_byte_at_a_time_does_not_outlast_the_deadline(server, make, how):
    client = make(timeouts=Timeouts(read_s=5, total_s=0.3))

    error = failure(client, server, how=how, body="x" * 1000)

    assert str(error).endswith(
        "no whole answer within 0.3 s: check the network, or raise deadline_s"
    )
    assert error.kind == "timeout"
    assert server.sent_bytes < 200


def test_a_request_that_nobody_reads_does_not_outlast_the_deadline(server, make):
    client = make(timeouts=Timeouts(read_s=5, total_s=0.3))
    server.say(Answer(how="hang_at_once"))

    with pytest.raises(HttpError, match=r"no whole answer within 0\.3 s"):
        client.send("POST", server.url, body=bytes(50_000_000))


def test_a_server_that_is_down_is_unreachable(client):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        with pytest.raises(HttpError, match=r"\(Connection refused\): check the network and url"):
            client.send("GET", url)


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (socket.EAI_NONAME, "configuration", "there is no host 'no.test': correct url"),
        (socket.EAI_AGAIN, "unreachable", r"the connection failed \(try later\)"),
    ],
)
def test_a_name_server_that_fails_is_no_slip_of_the_pen(client, monkeypatch, code, kind, message):
    def look_up(*args, **kwargs):
        raise socket.gaierror(code, "try later")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    with pytest.raises(HttpError, match=message) as caught:
        client.send("GET", "http://no.test/")

    assert caught.value.kind == kind


@pytest.mark.parametrize("url", ["ftp://a.test/", "http://a..b/", "nothing", "http://[::1/"])
def test_an_unusable_address_is_a_fault_of_the_configuration(client, url):
    with pytest.raises(HttpError, match=r"the address cannot be used \(\w+\): correct url") as got:
        client.send("GET", url)

    assert got.value.kind == "configuration"


def test_the_address_is_shown_without_what_may_be_secret(client):
    with pytest.raises(HttpError) as caught:
        client.send("GET", "ftp://user:hidden-1@a.test/p?key=hidden-2#hidden-3")

    assert str(caught.value).startswith("GET ftp://a.test/p: ")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("kind", ["good", "expired", "wrong host", "unknown authority"])
def test_a_certificate_has_to_be_good(make, tmp_path, kind):
    authority, contexts = make_certificates(tmp_path)
    client = make(ca_file=authority)
    with FaultServer(tls=contexts[kind]) as server:
        server.say(Answer(body="x" * 100_000))
        if kind == "good":
            assert len(client.send("POST", server.url, body=bytes(300_000)).content) == 100_000
            return

        with pytest.raises(HttpError) as caught:
            client.send("GET", server.url)

        assert server.requests == []
    assert caught.value.kind == "configuration"
    assert "the server's certificate is not trusted (" in str(caught.value)
    assert str(caught.value).endswith("): correct url, or install the certificate of the authority")


def test_a_byte_at_a_time_over_tls_does_not_outlast_the_deadline(make, tmp_path):
    authority, contexts = make_certificates(tmp_path)
    client = make(ca_file=authority, timeouts=Timeouts(read_s=5, total_s=0.5))
    with FaultServer(tls=contexts["good"]) as server:
        error = failure(client, server, how="drip_headers", drip_s=0.1)

    assert "no whole answer within 0.5 s" in str(error)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_without_certificates_is_named(make, tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    client = make(ca_file=file)

    message = r"ca\.pem' holds no certificate: correct ca_file"
    with pytest.raises(HttpError, match=message) as caught:
        client.send("GET", "https://127.0.0.1:9/")

    assert caught.value.kind == "configuration"


def test_a_proxy_is_asked_and_cannot_outlast_the_deadline(server, make, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    client = make(timeouts=Timeouts(read_s=5, total_s=0.5))
    server.say(Answer(body="through"), Answer(how="drip_headers", drip_s=0.1))

    assert client.send("GET", "http://far.test/a").content == b"through"
    with pytest.raises(HttpError, match=r"no whole answer within 0\.5 s"):
        client.send("GET", "https://far.test/a")
    assert [r.target for r in server.requests] == ["http://far.test/a", "far.test:443"]


def test_the_environment_is_looked_through_once_for_a_server(server, client, monkeypatch):
    asked, look = [], requests.utils.get_environ_proxies
    monkeypatch.setattr(
        requests.utils, "get_environ_proxies", lambda url: asked.append(url) or look(url)
    )

    server.say(*(Answer(body="here"),) * 3)
    for path in ("a", "b", "a?q=1"):
        client.send("GET", f"{server.url}/{path}")

    assert asked == [server.url]


def test_a_socks_proxy_needs_what_is_not_installed(client, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    with pytest.raises(HttpError, match=r"the (address|connection)"):
        client.send("GET", "http://far.test/a")
