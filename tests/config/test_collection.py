import copy

import pytest
from pydantic import Field, SecretStr

from al_framework.api import ConfigurationError, Options, Strategy, hookimpl
from al_framework.config.collection import hash_of, load_collection
from al_framework.host.plugins import PluginHost
from al_framework.testing.documents import ActiveLearningReader, ReadDocument


@pytest.fixture
def document(good):
    return good["active_learning"]


@pytest.fixture
def fetch(host):
    return lambda document: load_collection(document, host, lenient=True)


@pytest.fixture
def faults_in(host):
    def run(document, *, lenient):
        with pytest.raises(ConfigurationError) as caught:
            load_collection(document, host, lenient=lenient)
        assert caught.value.origin == "<fetched document>"
        return [str(fault) for fault in caught.value.faults]

    return run


def test_a_good_document_is_read_the_same_in_a_file_and_from_a_server(document, good, load, host):
    configuration = load(good)
    for lenient in (True, False):
        found = load_collection(document, host, lenient=lenient)

        assert found.active_learning == configuration.active_learning
        assert found.strategies == configuration.strategies
        assert found.skipped == ()


@pytest.mark.parametrize("enabled", [False, None, 0, "", []])
def test_anything_false_switches_a_fetched_document_off(document, fetch, enabled):
    document["enabled"] = enabled

    assert not fetch(document).active_learning.enabled
    assert fetch(document).strategies == ()


def test_a_fetched_document_without_a_word_is_off(fetch):
    assert not fetch({}).active_learning.enabled


@pytest.mark.parametrize("enabled", ["false", 1, [0]])
def test_anything_else_is_a_fault(document, faults_in, enabled):
    document["enabled"] = enabled
    [fault] = faults_in(document, lenient=True)

    assert fault.startswith("enabled: should be true or false, not ")


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize(("data", "seen"), [([], "an empty list"), (None, "null"), (5, "5")])
def test_what_is_no_mapping_is_refused(faults_in, lenient, data, seen):
    wanted = "should be a Roboflow Active Learning document, a mapping"

    assert [f"{wanted}, not {seen}"] == faults_in(data, lenient=lenient)


def section_of(collection):
    return collection.active_learning.model_dump(exclude={"sampling_strategies"})


UNKNOWN = [
    (lambda d: d.update(zebra=1), "zebra: unknown key, known are: "),
    (lambda d: d.update(tag=[]), "tag: unknown key, did you mean 'tags'?"),
    (lambda d: d["batching_strategy"].update(x=1), "batching_strategy.x: unknown key, known are: "),
    (
        lambda d: d["sampling_strategies"][0].update(colour=1),
        "sampling_strategies[0].colour: unknown key, known are: ",
    ),
    (
        lambda d: d["sampling_strategies"][0]["limits"][0].update(x={"y": 1}),
        "sampling_strategies[0].limits[0].x: unknown key, known are: ",
    ),
    (
        lambda d: d["sampling_strategies"].append({"type": "randon", "limits": 5}),
        "sampling_strategies[2].type: there is no strategy type 'randon' (did you mean 'random'?)",
    ),
    (
        lambda d: d["sampling_strategies"].append({"name": "hard", "type": "novel"}),
        "sampling_strategies[2].type: there is no strategy type 'novel'; installed strategy types",
    ),
]


@pytest.mark.parametrize(("change", "message"), UNKNOWN)
def test_what_is_not_known_is_left_out_of_a_fetched_document(document, fetch, change, message):
    expected = fetch(copy.deepcopy(document))
    change(document)
    before = copy.deepcopy(document)
    found = fetch(document)
    [skipped] = found.skipped

    assert str(skipped).startswith(message)
    assert str(skipped).endswith("; it is left out")
    assert found.strategies == expected.strategies
    assert section_of(found) == section_of(expected)
    assert found.document_hash != expected.document_hash
    assert before == document


@pytest.mark.parametrize(("change", "message"), UNKNOWN)
def test_what_is_not_known_is_a_fault_in_a_file(document, faults_in, change, message):
    change(document)
    faults = faults_in(document, lenient=False)

    assert any(fault.startswith(message) for fault in faults)
    assert not any("left out" in fault for fault in faults)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(tags=["a b"]), "tags[0]: should be 1 to 64 letters"),
        (lambda d: d.pop("batching_strategy"), "batching_strategy: is missing: "),
        (
            lambda d: d["sampling_strategies"][1].update(name="hard"),
            "sampling_strategies[1].name: the name 'hard' is taken by sampling_strategies[0]",
        ),
        (
            lambda d: d["sampling_strategies"][0]["limits"][0].update(value=0, x=1),
            "sampling_strategies[0].limits[0].value: should be greater than 0, not 0",
        ),
        (
            lambda d: d["sampling_strategies"].append({"name": "c"}),
            "sampling_strategies[2].type: is missing: choose one of ",
        ),
        (
            lambda d: d["sampling_strategies"].append("novel"),
            "sampling_strategies[2]: should be a mapping such as {type: ",
        ),
        (
            lambda d: d["sampling_strategies"].append({"name": "c", "type": 5}),
            "sampling_strategies[2].type: should be text, not 5",
        ),
    ],
)
def test_other_faults_are_faults_in_a_fetched_document_too(document, faults_in, change, message):
    change(document)
    [fault] = faults_in(document, lenient=True)

    assert fault.startswith(message)


def test_a_server_reads_nothing_of_this_machine(document, fetch, monkeypatch):
    monkeypatch.setenv("HOME_KEY", "secret")
    document["batching_strategy"]["batches_name_prefix"] = "${HOME_KEY}"
    found = fetch(document)

    assert found.active_learning.batching_strategy.batches_name_prefix == "${HOME_KEY}"


def test_the_hash_changes_with_anything_but_the_order_of_keys(document, fetch):
    turned = dict(reversed(document.items()))

    assert fetch(document).document_hash == fetch(turned).document_hash == hash_of(document)
    assert hash_of(document) != hash_of(document | {"tags": []})
    assert len(hash_of(None)) == 16


def test_values_that_no_document_can_hold_are_refused(document, faults_in):
    document["tags"] = {5}

    assert ["tags: a value of type 'set' has no place in a configuration"] == faults_in(
        document, lenient=True
    )


def test_the_reader_of_the_testing_kit_says_what_was_understood(document, host):
    reader = ActiveLearningReader(host)
    document.update(target_project="q", tags=["t"], zebra=1)
    found = reader.read(document, fetched=True)
    [fault] = reader.read(document, fetched=False)

    assert isinstance(found, ReadDocument)
    assert (found.strategies, found.tags, found.target.project) == (("hard", "some"), ("t",), "q")
    assert found.strategy_limits == {"hard": (("minutely", 10),), "some": ()}
    assert found.strategy_tags == {"hard": ("a",), "some": ()}
    assert [each.path for each in found.skipped] == ["zebra"] == [fault.path]


class VaultOptions(Options):
    key: SecretStr = Field(description="A key")


class Vault(Strategy[VaultOptions]):
    type_name = "vault"

    def evaluate(self, frame, prediction):
        raise AssertionError


class VaultPlugin:
    @hookimpl
    def al_register_strategies(self):
        return [Vault]


def test_secret_files_of_a_fetched_document_stay_closed(document, tmp_path):
    (tmp_path / "key").write_text("secret")
    vault = {"name": "v", "type": "vault", "key": f"file:{tmp_path / 'key'}"}
    document["sampling_strategies"] = [vault]
    host = PluginHost.without_discovery({"vaults": VaultPlugin()})
    [strategy] = load_collection(document, host, lenient=True).strategies
    entry = strategy.entry

    assert entry.options.key.get_secret_value() == f"file:{tmp_path / 'key'}"


def test_a_document_larger_than_a_file_may_be_is_refused(document, faults_in):
    document["sampling_strategies"] *= 20_000

    assert faults_in(document, lenient=True) == [
        "is larger than 1 MiB: this cannot be a configuration"
    ]


def test_a_document_that_is_faulty_in_very_many_places_is_read_in_no_time(document, faults_in):
    """Hangs if the faults of a document are compared with each other."""
    document["sampling_strategies"] = [{}] * 100_000

    assert len(faults_in(document, lenient=True)) == 200_000


def test_a_document_without_a_bottom_is_refused(document, faults_in):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    document["tags"] = deep

    assert faults_in(document, lenient=True) == ["tags[0][0]: is nested more than 32 deep"]
