from pathlib import Path

import pytest
from pydantic import SecretStr

from al_framework.api import ConfigurationError, Fault, SpoolError
from al_framework_roboflow.pool.keys import (
    PoolError,
    collection_document,
    make_key,
)
from al_framework_roboflow.pool.making import explained

SECRET = "rf_abcdefgh12345678"
DOCUMENT = {"enabled": True, "tags": ["a", "b"], "sampling_strategies": [{"name": "x"}]}


def key(secret=SECRET, dataset="my-project", configuration=None):
    return make_key(SecretStr(secret), dataset, configuration)


def document(one, **changes):
    given = {"api_url": "http://localhost", "spool_root": Path("/spools"), "sinks": None}
    return collection_document(one, **{**given, **changes})


@pytest.mark.parametrize(
    "other",
    [
        key(secret="another"),
        key(dataset="another"),
        key(configuration={}),
        key(configuration=DOCUMENT),
        key(configuration={**DOCUMENT, "tags": ["b", "a"]}),
    ],
)
def test_key_dataset_and_configuration_tell_collectors_apart(other):
    assert other != key()
    assert other.name != key().name


def test_the_order_of_a_documents_keys_does_not_matter():
    backwards = dict(reversed(DOCUMENT.items()))

    assert key(configuration=DOCUMENT) == key(configuration=backwards)
    assert hash(key(configuration=DOCUMENT)) == hash(key(configuration=backwards))


def test_names_are_directories_that_tell_no_key():
    name = key(dataset="Übung..etc..with-a-name-that-is-far-too-long").name

    assert name.isascii()
    assert "/" not in name
    assert ".." not in name
    assert len(name) <= 64
    assert name[0].isalnum()
    assert key(dataset="...").name.startswith("dataset-")
    assert SECRET not in f"{key()!r} {key().name}"


def test_the_document_of_a_collector_is_kept_apart_from_its_givers():
    given = {"enabled": True, "tags": ["a"]}
    one = key(configuration=given)
    given["tags"].append("b")

    assert document(one)["active_learning"] == {"enabled": True, "tags": ["a"]}
    assert "configuration" not in document(one)


def test_without_a_document_it_is_fetched():
    assert document(key())["configuration"] == {
        "type": "roboflow",
        "project": "my-project",
        "api_key": SECRET,
        "api_url": "http://localhost",
    }
    assert "active_learning" not in document(key())


@pytest.mark.parametrize(
    ("url", "more"),
    [
        ("http://gateway.test", {"allow_insecure": True}),
        ("https://gateway.test", {}),
        ("http://[::1]:9", {}),
        ("http://[", {}),
    ],
)
def test_the_address_is_the_decision_of_whoever_makes_the_pool(url, more):
    made = document(key(), api_url=url)

    expected = {"project": "my-project", "api_key": SECRET, "api_url": url, **more}
    assert {"type": "roboflow", **expected} == made["configuration"]
    assert [{"type": "roboflow", **expected}] == made["sinks"]


def test_pictures_go_to_roboflow_and_wait_in_a_spool_of_their_own():
    one = key()

    made = document(one)

    assert made["sinks"] == [
        {
            "type": "roboflow",
            "project": "my-project",
            "api_key": SECRET,
            "api_url": "http://localhost",
        }
    ]
    assert made["spool"] == {"path": f"/spools/{one.place}"}
    assert made["name"] == one.name


def test_other_sinks_are_given_a_name_of_their_own_and_the_account():
    one = key()
    sinks = [
        {"type": "directory", "path": "out/{collector}", "more": [{"a": "{collector}", "b": 1}]},
        {"type": "roboflow", "project": "mirror"},
    ]

    made = document(one, sinks=sinks)["sinks"]

    assert made[0] == {
        "type": "directory",
        "path": f"out/{one.place}",
        "more": [{"a": one.place, "b": 1}],
    }
    assert made[1]["project"] == "mirror"
    assert made[1]["api_key"] == SECRET


def test_a_tenant_cannot_refer_to_the_machines_secrets():
    one = key(dataset="${HOME}", configuration={"tags": ["${HOME}"], "n": 1})

    made = document(one)

    assert made["active_learning"] == {"tags": ["$${HOME}"], "n": 1}
    assert made["sinks"][0]["project"] == "$${HOME}"


@pytest.mark.parametrize("secret", ["${HOME}", "file:/etc/passwd", "a b", "", "é", "a\n"])
def test_what_is_no_key_is_refused_without_being_shown(secret):
    with pytest.raises(PoolError) as caught:
        key(secret=secret)

    assert str(caught.value) == (
        "the API key is no key of Roboflow: pass the key itself, without blanks or a reference"
    )


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("", "the target dataset is '': pass the short name of a project"),
        (None, "the target dataset is missing: pass the short name of a project"),
        ("x" * 300, "the target dataset is 'xxx"),
    ],
)
def test_what_is_no_dataset_is_refused(dataset, message):
    with pytest.raises(PoolError) as caught:
        key(dataset=dataset)

    assert message in str(caught.value)


def holding_itself():
    document = {}
    document["a"] = document
    return document


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ("x", "the configuration is of type 'str': pass a Roboflow Active Learning document, or"),
        (holding_itself(), "the configuration is no plain document: it holds itself, or keys that"),
        ({1: 2, "a": 3}, "the configuration is no plain document"),
    ],
)
def test_what_is_no_document_is_refused(configuration, message):
    with pytest.raises(PoolError) as caught:
        key(configuration=configuration)

    assert message in str(caught.value)


def test_faults_are_told_in_the_words_of_the_step():
    faults = [
        Fault(path="active_learning.tags[0]", message="is too long"),
        Fault(path="sinks[0]", message=f"holds {SECRET}"),
    ]

    error = explained(ConfigurationError(faults), key())

    assert str(error) == (
        "no collector for the dataset 'my-project': 2 faults: "
        "active_learning_configuration.tags[0]: is too long; sinks[0]: holds ***"
    )
    assert error.faults == tuple(faults)
    assert "1 fault: " in str(explained(ConfigurationError(faults[:1]), key()))


def test_other_errors_keep_their_words_but_not_the_key():
    error = explained(SpoolError(f"the spool of {SECRET} is gone"), key())

    assert str(error) == "no collector for the dataset 'my-project': the spool of *** is gone"
