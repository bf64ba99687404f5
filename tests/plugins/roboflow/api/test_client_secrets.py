"""The key appears in no error, log or text, in none of its forms."""

import logging
from contextlib import closing

import pytest
from pydantic import SecretStr

from al_framework_roboflow.answers import RoboflowApiError
from al_framework_roboflow.client import RoboflowClient
from al_framework_roboflow.scrubbing import hide_keys_in_logs, scrub

SECRET = "rf/Se+cret 0123456789"
FORMS = (SECRET, "rf%2FSe%2Bcret+0123456789", "rf%2FSe%2Bcret%200123456789")
FAILURES = [
    {"drop": True},
    {"status": 401, "document": {"error": f"no key {SECRET}"}},
    {"status": 500, "text": f"at /upload?api_key={FORMS[1]}&tag=a"},
    {"text": f"<html>{FORMS[2]}"},
    {"document": {"success": False, "request": f"?api_key={FORMS[1]}"}},
    {"status": 302, "headers": {"Location": f"/?api_key={FORMS[1]}"}},
    {"hang": True},
]


@pytest.mark.parametrize("failure", FAILURES)
def test_the_key_appears_nowhere(server, failure, texts_of, caplog):
    client = RoboflowClient(api_key=SecretStr(SECRET), api_url=server.url, timeout_s=0.3)
    server.say(**failure)
    log = caplog.at_level(logging.DEBUG)
    with log, closing(client), pytest.raises(RoboflowApiError) as caught:
        client.upload("ds", b"x", name="n.jpg", batch="b", tags=())

    lines = [text for r in caplog.records for text in (r.getMessage(), repr(vars(r)))]
    texts = [*lines, *texts_of(caught.value), repr(client), repr(vars(client))]
    assert server.requests[0].query[0] == ("api_key", SECRET)
    assert [text for text in texts for form in FORMS if form in text] == []
    if "hang" not in failure and "drop" not in failure:
        assert any("/dataset/ds/upload?api_key=***&batch=b" in line for line in lines)


@pytest.mark.parametrize("number", range(2))
def test_logs_of_others_are_left_alone(caplog, number):
    logger = logging.getLogger("urllib3.connectionpool")
    hide_keys_in_logs()
    hide_keys_in_logs()

    with caplog.at_level(logging.DEBUG, logger=logger.name):
        logger.debug("%s got %d of %s", "a", number, {"b": 1})
        logger.debug("got /?API_KEY=%s&b=1", "abc")

    assert [r.getMessage() for r in caplog.records] == [
        f"a got {number} of {{'b': 1}}",
        "got /?API_KEY=***&b=1",
    ]
    assert caplog.records[0].args == ("a", number, {"b": 1})
    assert len(logger.filters) == len(set(logger.filters))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((form, "***") for form in (*FORMS, "cmYvU2UrY3JldCAwMTIzNDU2Nzg5")),
        ("api_key=whatever", "api_key=***"),
        ("api_key%3Dwhatever", "api_key%3D***"),
    ],
)
def test_every_form_of_a_key_is_replaced(text, expected):
    assert f"{expected} & more" == scrub(f"{text} & more", SecretStr(SECRET))


def test_an_empty_key_replaces_nothing():
    assert scrub("as it is", SecretStr("")) == "as it is"
