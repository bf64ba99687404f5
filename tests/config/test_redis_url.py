import json
import logging
import traceback

import pytest

from al_framework.api import ConfigurationError
from al_framework.config.loading import load_configuration, read_document
from al_framework.config.redis_url import redis_url_fault
from al_framework.config.schema import build_schema

FORM = "should be an address such as redis://host:6379/0, rediss://host:6379/0 or unix:///path"
CANARY = "cAn4ry"


def limited(good, **limits):
    good["limits"] = {"ledger": "redis", **limits}
    return good


@pytest.mark.parametrize(
    "url",
    [
        "redis://host",
        "redis://host:6379/0",
        "redis://user:pa%23ss@10.0.0.1:6379/3",
        "redis://[::1]:6379",
        "rediss://:password@host/0?ssl_ca_certs=/etc/ca.pem",
        "unix:///run/redis.sock?db=2",
        "unix://user:password@/run/redis.sock",
    ],
)
def test_addresses_of_servers_are_taken(good, load, url):
    configuration = load(limited(good, redis_url=url))

    assert url == configuration.limits.redis_url.get_secret_value()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", FORM),
        ("host:6379", FORM),
        ("http://host:6379", FORM),
        ("redis://", FORM),
        ("redis:host", FORM),
        (f"redis://host:{CANARY}", f"{FORM}, its port a number"),
        (f"redis://:{CANARY}/x@host", f"{FORM}, its port a number"),
        (f"redis://[{CANARY}", f"{FORM}, its port a number"),
        (f"redis://host/{CANARY}", f"{FORM}, its database a number"),
        ("redis://host?db=x", f"{FORM}, its database a number"),
        ("redis://host/²", f"{FORM}, its database a number"),
        ("unix://", f"{FORM}: of a socket three slashes and its path"),
        ("unix://host/path", f"{FORM}: of a socket three slashes and its path"),
        ("redis://host/0#x", f"{FORM}: write %23 for a # in the password"),
        (
            "rediss://host/0?ssl_cert_reqs=none",
            f"{FORM}: behind a ? only db and ssl_ca_certs; TLS is always verified",
        ),
        (
            f"redis://host?password={CANARY}",
            f"{FORM}: behind a ? only db and ssl_ca_certs; TLS is always verified",
        ),
    ],
)
def test_other_addresses_are_refused_without_showing_them(url, message):
    assert message == redis_url_fault(url)
    assert CANARY not in message


def test_a_refused_address_is_a_fault_of_its_place(good, faults_of):
    assert [f"limits.redis_url: {FORM}"] == faults_of(limited(good, redis_url="http://host"))


def test_the_redis_ledger_needs_an_address(good, faults_of):
    (found,) = faults_of(limited(good))

    assert found == (
        "limits.redis_url: is missing: `ledger: redis` needs one such as redis://host:6379/0;"
        " ${NAME} takes it from the environment"
    )


@pytest.mark.parametrize(("limits", "ledger"), [({}, "sqlite"), ({"ledger": "memory"}, "memory")])
def test_an_address_that_nobody_would_use_is_a_fault(good, faults_of, limits, ledger):
    good["limits"] = {**limits, "redis_url": "redis://host"}

    assert faults_of(good) == [
        (
            f"limits.redis_url: is not used: `ledger: {ledger}` asks no server; write"
            " `ledger: redis`, or remove it"
        )
    ]


def test_other_ledgers_do_not_ask_for_it(good, load):
    assert load({**good, "limits": {"ledger": "memory"}}).limits.redis_url is None


def test_the_address_comes_from_the_environment_or_a_file(good, load, tmp_path):
    (tmp_path / "url").write_text("redis://a\n")
    from_file = load(limited(good, redis_url=f"file:{tmp_path / 'url'}"))
    from_environment = load(limited(good, redis_url="redis://:${P}@b"), P="p")

    found = [each.limits.redis_url.get_secret_value() for each in (from_file, from_environment)]
    assert ["redis://a", "redis://:p@b"] == found


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("${NOT_SET}", "the environment variable NOT_SET is not set"),
        (5, "should be text"),
    ],
)
def test_an_address_that_cannot_be_read_is_one_fault(good, faults_of, written, message):
    assert [f"limits.redis_url: {message}"] == faults_of(limited(good, redis_url=written))


def test_a_file_that_cannot_be_read_is_one_fault(good, faults_of, tmp_path):
    (found,) = faults_of(limited(good, redis_url=f"file:{tmp_path / 'none'}"))

    assert found.startswith("limits.redis_url: the secret file '")


def test_the_password_is_shown_nowhere(good, host, load, caplog):
    caplog.set_level(logging.DEBUG)
    url = f"redis://user:{CANARY}@host:6379/0"
    configuration = load(limited(good, redis_url=url))
    other = load(limited(good, redis_url=url.replace(CANARY, "another")))
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(
            read_document(limited(good, redis_url=f"{url}#x", ledger=CANARY)),
            host,
            environ={},
        )

    shown = "".join(traceback.format_exception(caught.value))
    shown += repr(configuration) + str(configuration.limits) + caplog.text
    shown += json.dumps(build_schema(host)) + configuration.limits.model_dump_json()
    assert CANARY not in shown.replace(f"not '{CANARY}'", "")  # of the ledger, which is no secret
    assert configuration.configuration_hash == other.configuration_hash
