import logging

import pytest
from pydantic import SecretStr

from al_framework.api import PermanentSinkError, SinkPausedError, TransientSinkError
from al_framework.api.http import (
    MAX_RETRY_AFTER_S,
    HttpError,
    Scrubber,
    hide_parameters_in_logs,
    retry_after_s,
    sink_error,
)
from al_framework.testing import FakeCheckpoint

DATE = {"Date": "Sun, 22 Nov 2026 10:00:00 GMT"}
SECRET = "rf/Se+cret 0123456789"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"retry-after": " 120 "}, 120.0),
        ({"Retry-After": "1000000000"}, MAX_RETRY_AFTER_S),
        ({"Retry-After": "9" * 400}, MAX_RETRY_AFTER_S),
        ({"Retry-After": "-1", **DATE}, None),
        ({"Retry-After": "1.5", **DATE}, None),
        ({"Retry-After": "soon", **DATE}, None),
        ({"Retry-After": "\u0663", **DATE}, None),
        ({"Retry-After": "Sun, 22 Nov 2026 10:01:30 GMT", **DATE}, 90.0),
        ({"Retry-After": "Sun, 22 Nov 2026 09:59:00 GMT", **DATE}, 0.0),
        ({"Retry-After": "Sun, 22 Nov 2099 09:59:00 GMT", **DATE}, MAX_RETRY_AFTER_S),
        ({"Retry-After": "Sun, 22 Nov 2026 10:01:30 GMT"}, None),
        ({"Retry-After": "Sun, 22 Nov 2026 10:01:30 -0000", **DATE}, None),
        ({"Retry-After": "Sun, 22 Nov 99999 10:01:30 GMT", **DATE}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_an_hour_at_most(headers, expected):
    assert expected == retry_after_s(headers)


TEN = 1_795_341_600.0  # Sun, 22 Nov 2026 10:00:00 GMT


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "Sun, 22 Nov 2026 10:01:30 GMT"}, 90.0),
        ({"Retry-After": "Sun, 22 Nov 2026 10:01:30 GMT", "Date": "today"}, 90.0),
        ({"Retry-After": "Sun, 22 Nov 2026 12:01:30 +0200"}, 90.0),
        ({"Retry-After": "Sun, 22 Nov 2026 09:59:00 GMT"}, 0.0),
        ({"Retry-After": "Sun, 22 Nov 2099 09:59:00 GMT"}, MAX_RETRY_AFTER_S),
        ({"Retry-After": "Sun, 22 Nov 2026 10:01:30 -0000"}, None),
        ({"Retry-After": "soon"}, None),
        (
            {"Retry-After": "Sun, 22 Nov 2026 11:01:30 GMT", "Date": "Sun, 22 Nov 2026 11:01 GMT"},
            30,
        ),
    ],
)
def test_a_date_without_the_servers_own_is_measured_by_our_clock(headers, expected):
    assert expected == retry_after_s(headers, received_at=TEN)


PAUSED, TRANSIENT, PERMANENT = SinkPausedError, TransientSinkError, PermanentSinkError
TABLE = [
    *((status, TRANSIENT) for status in (408, 425, 429, 500, 502, 503, 504, 507, 508, 520, 599)),
    *((status, PAUSED) for status in (401, 402, 403, 404, 407, 423)),
    *((status, PERMANENT) for status in (400, 405, 409, 410, 413, 415, 422, 451, 501, 505)),
]


@pytest.mark.parametrize(("status", "expected"), TABLE)
def test_a_status_has_its_verdict(status, expected):
    failure = HttpError("it failed", kind="status", status=status, retry_after_s=7)

    error = sink_error(failure, who="sink 'a'", checkpoint=FakeCheckpoint())

    assert type(error) is expected
    assert str(error) == "sink 'a': it failed"
    assert getattr(error, "retry_after_s", None) == (7.0 if expected is TRANSIENT else None)
    if expected is TRANSIENT:  # a server that fails may have got as far as storing it
        assert error.may_be_stored is (status >= 500)


def test_a_sink_can_pause_for_more():
    failure = HttpError("gone", kind="status", status=410)

    error = sink_error(failure, who="s", checkpoint=FakeCheckpoint(), pausing={410})

    assert type(error) is SinkPausedError


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("unreachable", TRANSIENT), ("timeout", TRANSIENT), ("configuration", PAUSED)],
)
def test_no_answer_has_its_verdict(kind, expected):
    error = sink_error(HttpError("x", kind=kind), who="s", checkpoint=FakeCheckpoint())

    assert type(error) is expected
    assert getattr(error, "may_be_stored", False) is (expected is TRANSIENT)


@pytest.mark.parametrize("kind", ["malformed", "rejected"])
def test_the_third_odd_answer_is_the_last(kind):
    checkpoint = FakeCheckpoint()
    failure = HttpError("odd", kind=kind, status=200)

    errors = [sink_error(failure, who="s", checkpoint=checkpoint) for _ in range(3)]

    assert [type(error) for error in errors] == [TRANSIENT, TRANSIENT, PERMANENT]
    assert str(errors[2]) == "s: odd (after 3 such answers)"
    assert checkpoint.state == {"odd_answers": "2"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((f, "***") for f in (SECRET, "rf%2FSe%2Bcret+0123456789", "rf%2FSe%2Bcret%200123456789")),
        ("cmYvU2UrY3JldCAwMTIzNDU2Nzg5", "***"),
        ("key 0123456789", "key ***"),
        ("rf/Se+cret", "***"),
        ("code=whatever", "code=***"),
        ("CODE%3Dwhatever", "CODE%3D***"),
        ("zip=whatever", "zip=whatever"),
        ("zip_code=whatever", "zip_code=whatever"),
        ("zip-code=whatever", "zip-code=whatever"),
        ("zipcode=whatever", "zipcode=whatever"),
        ("zip%26xcode%3Dwhatever", "zip%26xcode%3Dwhatever"),
        ("/?zip=1&code=whatever", "/?zip=1&code=***"),
        ("/?to=%2F%3Fcode%3Dwhatever", "/?to=%2F%3Fcode%3D***"),
        ("/?to=%2F%3Fzip%3D1%26code%3Dwhatever", "/?to=%2F%3Fzip%3D1%26code%3D***"),
        (
            "/?to=%252F%253Fzip%253D1%2526code%253Dwhatever",
            "/?to=%252F%253Fzip%253D1%2526code%253D***",
        ),
        ("'code=whatever'", "'code=***'"),
    ],
)
def test_every_form_of_a_secret_is_replaced(text, expected):
    scrub = Scrubber((SecretStr(SECRET),), parameters=("code",))

    assert f"{expected} & more" == scrub(f"{text} & more")


@pytest.mark.parametrize("secret", ["", "a", "abc"])
def test_a_secret_too_short_to_be_one_blanks_out_nothing(secret):
    assert Scrubber((SecretStr(secret),))("abc as it is") == "abc as it is"


@pytest.mark.parametrize("number", range(2))
def test_parameters_are_hidden_in_logs_once_and_for_all(caplog, number):
    logger = logging.getLogger("urllib3.connection")
    hide_parameters_in_logs(())
    before = len(logger.filters)
    hide_parameters_in_logs(())
    hide_parameters_in_logs(("some_key", "other"))
    hide_parameters_in_logs(("OTHER", "some_key"))

    with caplog.at_level(logging.DEBUG, logger=logger.name):
        logger.debug("got /?Some_Key=%s&b=1 and other=%d", "abc", 3)
        logger.debug("%s got %s", "a", {"b": 1})

    assert [r.getMessage() for r in caplog.records] == [
        "got /?Some_Key=***&b=1 and other=***",
        "a got {'b': 1}",
    ]
    assert caplog.records[1].args == ("a", {"b": 1})
    assert len(logger.filters) == before + (number == 0)
    assert logger.filters[-1] != "another"
