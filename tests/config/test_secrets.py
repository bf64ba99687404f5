import json
import logging
import traceback

import pytest

from al_framework.api import ConfigurationError
from al_framework.config.loading import load_configuration, read_document
from al_framework.config.schema import build_schema

CANARY = "cAn4ry-5ecret-value"


def shop(good, **options):
    good["sinks"] = [{"type": "shop", **options}]
    return good


def key_of(configuration):
    return configuration.sinks[0].options.key.get_secret_value()


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${KEY}", "secret"),
        ("a-${KEY}-${OTHER}", "a-secret-x"),
        ("$${KEY}", "${KEY}"),
        ("$KEY {KEY} $$", "$KEY {KEY} $$"),
        ("literal", "literal"),
    ],
)
def test_references_are_replaced_from_the_environment(good, load, written, value):
    configuration = load(shop(good, api_key=written), KEY="secret", OTHER="x")

    assert value == key_of(configuration)


def test_references_work_in_any_text(good, load):
    good["name"] = "line-${N}"
    good["active_learning"]["tags"] = ["cam-${N}"]
    configuration = load(good, N="7")

    assert (configuration.name, configuration.active_learning.tags) == ("line-7", ("cam-7",))


def test_what_comes_from_the_environment_stays_text(good, faults_of):
    message = "should be a whole number, not '${N}' (sink type 'shop', plugin 'sinks')"

    assert [f"sinks[0].workers: {message}"] == faults_of(shop(good, workers="${N}"), N="7")


def test_a_type_is_not_taken_from_the_environment(good, faults_of):
    good["sinks"] = [{"type": "${T}"}]
    (found,) = faults_of(good, T="null")

    assert found.startswith("sinks[0].type: there is no sink type '${T}'; ")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("${KEY}", "the environment variable KEY is not set"),
        ("x${A-B}", "holds a ${…} that names no environment variable; write $${ for a plain ${"),
        ("${}", "holds a ${…} that names no environment variable; write $${ for a plain ${"),
        ("${KEY}/${KEY}", "the environment variable KEY is not set"),
        ("${KEY", "holds a ${ without its }; write $${ for a plain ${"),
    ],
)
def test_a_reference_that_cannot_be_resolved_is_one_fault(good, faults_of, written, message):
    assert [f"sinks[0].api_key: {message}"] == faults_of(shop(good, api_key=written))


def test_a_fault_of_a_reference_is_not_followed_by_others_of_the_same_place(good, faults_of):
    message = "the environment variable LEDGER is not set"

    assert [f"limits.ledger: {message}"] == faults_of({**good, "limits": {"ledger": "${LEDGER}"}})


@pytest.fixture
def file_of(good, tmp_path):
    """Return a function that writes a configuration with a secret file beside it."""

    def run(content, name="key.txt"):
        if content is not None:
            (tmp_path / "key.txt").write_bytes(content)
        path = tmp_path / "al.json"
        path.write_text(json.dumps(shop(good, api_key=f"file:{name}")))
        return path

    return run


@pytest.mark.parametrize("content", [b"secret", b"secret\n", b"secret\r\n"])
def test_a_secret_can_stand_in_a_file_beside_the_configuration(file_of, load, content):
    assert key_of(load(file_of(content))) == "secret"


def test_the_name_of_a_secret_file_may_hold_a_reference(file_of, load):
    assert key_of(load(file_of(b"secret", "${NAME}.txt"), NAME="key")) == "secret"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff", "is not text in UTF-8"),
        (b"x" * 65537, "is larger than 64 KiB"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_one_fault(file_of, faults_of, content, message):
    (found,) = faults_of(file_of(content))

    assert found.startswith("line 1: sinks[0].api_key: the secret file '")
    assert found.endswith(f"key.txt' {message}")


def test_a_name_that_no_file_can_have_is_a_fault(good, faults_of):
    (found,) = faults_of(shop(good, api_key="file:a\0b"))

    assert "the secret file " in found
    assert "cannot be read: " in found


def test_a_secret_in_a_list_or_mapping_can_stand_in_a_file(file_of, good, load, tmp_path):
    file_of(b"secret")
    shop(good, headers={"a": "file:key.txt"}, logins=[{"user": "u", "token": "file:key.txt"}])
    path = tmp_path / "al.json"
    path.write_text(json.dumps(good))
    options = load(path).sinks[0].options

    assert options.headers["a"].get_secret_value() == "secret"
    assert options.logins[0].token.get_secret_value() == "secret"


def test_only_secrets_are_read_from_files(good, load):
    assert load(shop(good, url="file:x")).sinks[0].options.url == "file:x"


def test_what_a_variable_brings_is_never_taken_for_a_file(good, load):
    assert key_of(load(shop(good, api_key="${KEY}"), KEY="file:x")) == "file:x"


def test_the_hash_follows_the_reference_and_not_the_secret(good, load):
    def digest(written, **environ):
        return load(shop(good, api_key=written), **environ).configuration_hash

    assert digest("${KEY}", KEY="a") == digest("${KEY}", KEY="b")
    assert digest("${KEY}", KEY="a") != digest("${OTHER}", OTHER="a")
    assert digest("one") == digest("two")
    assert digest("one") != digest("${KEY}", KEY="one")


def test_the_hash_hides_literal_secrets_wherever_they_stand(good, load):
    def digest(token):
        shop(good, headers={"a": token}, logins=[{"user": "u", "token": token}], api_key=None)
        return load(good).configuration_hash

    assert digest("one") == digest("two")


def secret_places(secret):
    return [
        {"api_key": secret},
        {"login": {"user": "u", "token": secret}},
        {"logins": [{"user": "u", "token": secret}]},
        {"headers": {"Authorization": secret}},
    ]


@pytest.mark.parametrize("options", secret_places(CANARY) + secret_places("${CANARY}"))
def test_a_secret_appears_nowhere_in_a_good_configuration(good, host, caplog, options):
    caplog.set_level(logging.DEBUG)
    document = read_document(shop(good, **options))
    configuration = load_configuration(document, host, environ={"CANARY": CANARY})
    shown = [
        repr(document),
        repr(configuration),
        str(configuration.sinks[0].options),
        repr(configuration.sinks[0].options),
        configuration.sinks[0].options.model_dump_json(),
        configuration.configuration_hash,
        json.dumps(build_schema(host)),
        caplog.text,
    ]

    assert [text for text in shown if CANARY in text] == []


@pytest.mark.parametrize("options", secret_places([CANARY]) + secret_places({CANARY: CANARY}))
def test_a_secret_of_the_wrong_shape_appears_in_no_fault(good, load, options):
    with pytest.raises(ConfigurationError) as caught:
        load(shop(good, **options))

    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.faults)
    assert CANARY not in shown


@pytest.mark.parametrize("options", secret_places(CANARY) + secret_places("${CANARY}"))
def test_a_secret_appears_in_no_fault_beside_it(good, load, options):
    with pytest.raises(ConfigurationError) as caught:
        load(shop(good, workers=0, api_kez=CANARY, **options), CANARY=CANARY)

    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.faults)
    assert CANARY not in shown
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize("written", [CANARY, "${CANARY}"])
def test_a_plugin_that_puts_a_secret_into_its_error_does_not_show_it(good, load, written):
    good["sinks"] = [{"type": "warehouse", "key": written}]
    with pytest.raises(ConfigurationError, match=r"the key was \*\*\*: report this") as caught:
        load(good, CANARY=CANARY)

    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_secret_of_three_letters_does_not_blank_out_messages(good, faults_of):
    message = "should be greater than 0, not 0 (sink type 'shop', plugin 'sinks')"

    assert [f"sinks[0].workers: {message}"] == faults_of(shop(good, workers=0, api_key="not"))


def test_a_plain_option_that_refers_to_a_secret_is_shown_as_written(good, load):
    with pytest.raises(ConfigurationError, match=r"not 'https://x/\?key=\$\{CANARY\}'") as caught:
        load(shop(good, url="https://x/?key=${CANARY}"), CANARY=CANARY * 9)

    assert CANARY not in "".join(traceback.format_exception(caught.value))
