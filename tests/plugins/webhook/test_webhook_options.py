import base64

import pytest
from pydantic import ValidationError

from al_framework_webhook.options import WebhookSinkOptions

SECRET = base64.b64encode(bytes(24)).decode()
VALID = {"url": "https://a.test/in", "secret": SECRET}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"secret": f"whsec_{SECRET}"},
        {"secret": base64.b64encode(bytes(64)).decode().rstrip("=")},
        {"url": "https://[::1]:8443/in"},
        {"url": "http://a.test", "allow_insecure": True},
        {"headers": {"X-Key": "a b"}, "query": {"code": "x"}},
    ],
)
def test_good_options_are_taken(changes):
    WebhookSinkOptions(**{**VALID, **changes})


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        ({"url": "http://a.test"}, "url", "begins with http://: use https://, or set allow_insec"),
        ({"url": "ftp://a.test"}, "url", "has to be an address like 'https://example.com/collect'"),
        ({"url": "https://"}, "url", "has to be an address like 'https://example.com/collect'"),
        ({"url": "https://a.test:0"}, "url", "has to be an address like"),
        ({"url": "https://a.test:99999"}, "url", "is no address: correct its host or its port"),
        ({"url": "https://[a.test"}, "url", "is no address: correct its host or its port"),
        ({"url": "https://u:hidden@a.test"}, "url", "holds a user or a password: write them as a"),
        ({"url": "https://a.test?key=hidden"}, "url", "holds a query or a fragment: write what"),
        ({"url": "https://a.test#"}, "url", "holds a query or a fragment: write what is secret"),
        ({"url": "https://a.test/a b"}, "url", "holds a blank or a line end: remove it"),
        ({"secret": "not base64, hidden"}, "secret", "is no base64, with or without 'whsec_' in"),
        ({"secret": "hidden+ü"}, "secret", "is no base64, with or without 'whsec_' in front: take"),
        ({"secret": ""}, "secret", "holds 0 bytes: it has to hold 24 to 64 of them as base64"),
        ({"secret": "hidden++"}, "secret", "holds 6 bytes: it has to hold 24 to 64 of them"),
        ({"secret": SECRET * 3}, "secret", "holds 72 bytes: it has to hold 24 to 64 of them"),
        ({"headers": {"a b": "x"}}, "headers", "'a b' is no name of a header"),
        ({"headers": {"Host": "x"}}, "headers", "the header 'Host' is set by the sink itself"),
        ({"headers": {"Webhook-Id": "x"}}, "headers", "the header 'Webhook-Id' is set by the sink"),
        ({"headers": {"X-Key": ""}}, "headers", "'X-Key' is empty or holds what no header can"),
        ({"headers": {"X-Key": "hidden\n"}}, "headers", "'X-Key' is empty or holds what no header"),
        ({"deadline_s": 60}, "deadline_s", "less than or equal to 55"),
    ],
)
def test_a_slip_is_named_without_showing_a_secret(changes, place, message):
    with pytest.raises(ValidationError) as caught:
        WebhookSinkOptions(**{**VALID, **changes})

    [fault] = caught.value.errors(include_input=False, include_url=False, include_context=False)
    assert fault["loc"][0] == place
    assert message in fault["msg"]
    assert "hidden" not in str(caught.value)
