"""Options of the sink that cannot be meant are refused."""

import pydantic
import pytest

KEY = "rf-0123456789-secret"


@pytest.mark.parametrize(
    "change",
    [
        {"api_key": ""},
        {"project": ""},
        {"project": "ws/ds"},
        {"workspace": "a b"},
        {"timeout_s": 0},
        {"api_url": "api.roboflow.com"},
        {"api_url": "ftp://api.roboflow.com"},
        {"api_url": "https://me:pw@api.roboflow.com"},
        {"api_url": "https://api.roboflow.com/?api_key=1"},
        {"api_url": "https://"},
        {"nothing": 1},
    ],
)
def test_options_that_cannot_be_meant_are_refused(make, change):
    with pytest.raises(pydantic.ValidationError) as caught:
        make(**change)

    assert KEY not in str(caught.value)
    if "api_url" in change:
        assert "has to be an address like 'https://api.roboflow.com', without user" in str(
            caught.value
        )


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway.test",
        "HTTP://api.roboflow.com",
        "http://localhost.gateway.test",
        "http://127.0.0.1.gateway.test",
        "http://10.0.0.7:9001",
        "http://0.0.0.0",
        "http://[2001:db8::1]",
    ],
)
def test_what_could_be_read_on_the_way_has_to_be_allowed(make, url):
    with pytest.raises(
        pydantic.ValidationError,
        match="begins with http://: use https://, or set allow_insecure where the network is your "
        "own",
    ) as caught:
        make(api_url=url)

    assert make(api_url=url, allow_insecure=True).options.api_url == url
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1:9876", "127.8.9.1", "localhost:1", "[::1]:80"])
def test_this_machine_needs_no_encryption(make, host):
    assert make(api_url=f"http://{host}").options.allow_insecure is False
