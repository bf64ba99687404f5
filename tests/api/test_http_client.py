"""What a request carries, what an answer may be, and what a status says to do."""

import gzip
import json
import logging
import os
import subprocess
import sys
import threading
import zlib

import pytest
import requests
from pydantic import SecretStr

from al_framework import __version__
from al_framework.api.http import MAX_REPLY_BYTES, HttpError, Timeouts, Wording
from al_framework.testing import Answer, FaultServer

SECRET = "s3cret/0123456789+abc"
BEARER = f"Bearer {SECRET}"


def failure(client, server, **answer):
    server.say(Answer(**answer))
    with pytest.raises(HttpError) as caught:
        client.send("GET", f"{server.url}/x?q=hidden#f")
    return caught.value


def test_a_date_to_come_back_at_is_measured_by_the_given_clock_if_need_be(make, server):
    client = make(now=lambda: 1_795_341_600.0)
    date = "Sun, 22 Nov 2026 10:01:30 GMT"

    error = failure(client, server, status=503, headers={"Retry-After": date})

    assert error.retry_after_s == 90.0


def test_nothing_is_loaded_before_the_first_request():
    code = """
import sys
from al_framework.api.http import HttpClient
HttpClient()
print("requests" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


def test_a_request_carries_what_it_was_given_and_nothing_else(server, make):
    client = make(
        secret_headers={"Authorization": SecretStr(BEARER)},
        secret_query={"key": SecretStr("a b&c")},
        headers={"X-Own": "1"},
    )
    server.say(Answer(body={"id": 7}), Answer(body=b"plain"))

    first = client.send("POST", f"{server.url}/a?b=1", body=b"body", headers={"X-Once": "2"})
    second = client.send("GET", f"{server.url}/")

    assert first.document() == {"id": 7}
    assert (second.status, second.content) == (200, b"plain")
    post, get = server.requests
    assert (post.method, post.target, post.body) == ("POST", "/a?key=a+b%26c&b=1", b"body")
    assert get.target == "/?key=a+b%26c"
    assert post.headers == {
        "host": server.url.removeprefix("http://"),
        "user-agent": f"al-framework/{__version__}",
        "accept-encoding": "gzip, deflate",
        "accept": "*/*",
        "connection": "keep-alive",
        "x-own": "1",
        "x-once": "2",
        "content-length": "4",
        "authorization": BEARER,
    }


@pytest.mark.parametrize("parts", [(b"head", b"x" * 300_000, b"", b"tail"), (b"one",), (b"",), ()])
def test_a_body_in_parts_arrives_as_the_same_bytes_in_one(server, client, parts):
    server.otherwise = lambda _: Answer(body="x")

    client.send("POST", server.url, body=parts)
    client.send("POST", server.url, body=b"".join(parts))

    assert server.connections == 1
    in_parts, in_one = server.requests
    assert (in_parts.body, in_parts.headers) == (b"".join(parts), in_one.headers)


@pytest.mark.parametrize("body", [bytearray(b"body"), memoryview(b"body"), "body"])
def test_whatever_else_is_a_body_is_sent_whole(server, client, body):
    server.say(Answer(body="x"))

    client.send("POST", server.url, body=body)

    assert server.requests[0].body == b"body"


def test_netrc_and_cookies_add_nothing(server, client, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password other-secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.say(Answer(headers={"Set-Cookie": "session=1; Path=/"}), Answer())

    for _ in range(2):
        client.send("GET", server.url)

    assert [{"authorization", "cookie"} & set(r.headers) for r in server.requests] == [set()] * 2


def test_one_connection_serves_a_thread_and_a_fork_gets_its_own(server, client, monkeypatch):
    server.otherwise = lambda _: Answer(body="x")

    def ask():
        for _ in range(3):
            client.send("GET", server.url)

    ask()
    assert server.connections == 1
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert server.connections == 2
    client.close()
    ask()
    assert server.connections == 3
    monkeypatch.setattr(os, "getpid", lambda: -1)
    ask()
    assert server.connections == 4


def test_a_refused_status_can_be_accepted(server, client):
    server.say(Answer(status=409, body="there", headers={"X-Why": "x"}))

    reply = client.send("GET", server.url, accept={409})

    assert (reply.status, reply.content, reply.headers["x-why"]) == (409, b"there", "x")


ADVICE = [
    (400, "it will not be taken"),
    (401, "check the key"),
    (402, "check the plan of the account"),
    (403, "check what the key has access to"),
    (404, "check the address, and whether the key belongs to it"),
    (407, "check the proxy's user and password"),
    (413, "send smaller pictures, see max_image_size"),
    (418, "it will not be taken"),
    (423, "the account is paused, which its owner can end"),
    (429, "there are too many requests, so wait"),
    (500, "the server failed, so try later"),
    (503, "the server failed, so try later"),
]


@pytest.mark.parametrize(("status", "advice"), ADVICE)
def test_a_status_says_what_to_do(server, client, status, advice):
    error = failure(client, server, status=status, body="why", headers={"Retry-After": "7"})

    assert str(error) == f"GET {server.url}/x: the answer is {status} with 'why': {advice}"
    assert (error.kind, error.status, error.retry_after_s) == ("status", status, 7.0)


def test_a_sink_has_words_of_its_own(server, make):
    class OwnError(HttpError):
        pass

    wording = Wording(
        peer="the box", url_option="box_url", advice={503: "water it"}, error=OwnError
    )
    client = make(wording=wording)

    refused = failure(client, server, status=503)
    redirected = failure(client, server, status=302)
    server.say(Answer(body="no"))
    reply = client.send("GET", server.url)

    assert str(refused).endswith("with '': water it")
    assert str(redirected).endswith(": correct box_url")
    assert str(reply.malformed("x")).endswith("check that box_url is the address of the box")
    assert {type(e) for e in (refused, redirected, reply.rejected("x"))} == {OwnError}


def test_an_answer_can_be_malformed_or_say_no(server, client):
    server.say(Answer(body="[1]"), Answer(body="x" * 300))
    short, long = (client.send("GET", server.url) for _ in range(2))

    with pytest.raises(HttpError) as caught:
        short.document()

    assert str(caught.value) == (
        f"GET {server.url}: the answer 200 holds no JSON object but '[1]': check that url is the "
        "address of the service"
    )
    assert caught.value.kind == "malformed"
    no = long.rejected("it was not taken")
    assert str(no) == f"GET {server.url}: it was not taken: the server answered '{'x' * 200}...'"
    assert (no.kind, no.status) == ("rejected", 200)


def test_a_redirect_is_not_followed_and_its_page_not_read(server, client):
    with FaultServer() as other:
        to = {"Location": f"{other.url}/there"}
        error = failure(client, server, status=302, headers=to, how="endless")

        assert other.connections == 0
    assert str(error).endswith(
        "the answer is 302, a redirect, which is never followed: correct url"
    )
    assert error.kind == "configuration"
    assert server.sent_bytes < 16 * MAX_REPLY_BYTES


def test_an_answer_before_the_answer_is_none(server, client):
    error = failure(client, server, status=103)

    assert "the answer 103 holds no answer that is final: check" in str(error)
    assert error.kind == "malformed"


@pytest.mark.parametrize("status", [200, 503])
def test_an_endless_answer_is_cut_off(server, client, status):
    error = failure(client, server, status=status, how="endless")

    message = "the answer is longer than 1048576 bytes: check that url is the address of the serv"
    assert (message in str(error)) == (status == 200)
    assert error.kind == ("malformed" if status == 200 else "status")
    assert server.sent_bytes < 16 * MAX_REPLY_BYTES


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("Deflate", raw_deflate)],
)
def test_a_packed_answer_is_unpacked_within_the_bound(server, client, encoding, pack):
    headers = {"Content-Encoding": encoding}
    server.say(Answer(body=pack(b'{"a": 1}'), headers=headers))

    assert client.send("GET", server.url).document() == {"a": 1}
    error = failure(client, server, body=pack(b"x" * 50_000_000), headers=headers)
    assert "longer than 1048576 bytes" in str(error)


def test_what_only_claims_to_be_packed_stays_as_it_is(server, client):
    server.say(Answer(body=b"plain", headers={"Content-Encoding": "gzip"}))

    assert client.send("GET", server.url).content == b"plain"


@pytest.mark.parametrize(
    "answer",
    [
        {"how": "reset_unanswered"},
        {"how": "hang_unanswered"},
        {"how": "cut_midway", "body": SECRET},
        {"status": 401, "body": f"no {SECRET}"},
        {"status": 500, "body": f"no {BEARER}"},
        {"status": 302, "headers": {"Location": f"/?key={SECRET}"}},
        {"status": 400, "headers": {"broken header": SECRET}},
    ],
)
def test_secrets_appear_nowhere(server, make, answer, texts_of, caplog):
    client = make(
        secret_headers={"Authorization": SecretStr(BEARER)},
        secret_query={"key": SecretStr(SECRET)},
        timeouts=Timeouts(read_s=0.2),
    )
    with caplog.at_level(logging.DEBUG):
        error = failure(client, server, **answer)

    lines = [text for r in caplog.records for text in (r.getMessage(), repr(vars(r)))]
    texts = [*lines, *texts_of(error), repr(client), repr(vars(client))]
    forms = (SECRET, requests.utils.quote(SECRET, safe=""), json.dumps(SECRET))
    assert [text for text in texts for form in forms if form in text] == []
