import jsonschema
import pytest
from pydantic import Field, SecretBytes, SecretStr

from al_framework.api import ConfigurationError, ConfigurationProvider, Options, Sink, hookimpl
from al_framework.config.loading import load_configuration, read_document
from al_framework.config.schema import build_schema
from al_framework.config.secrets import secret_values
from al_framework.host.plugins import PluginHost


class CloudOptions(Options):
    project: str = Field(min_length=1, description="The project")
    api_key: SecretStr = Field(description="The key")


class Cloud(ConfigurationProvider[CloudOptions]):
    type_name = "cloud"

    def __init__(self, options, context):
        raise AssertionError("nothing is built while a configuration is checked")

    def fetch(self):
        raise AssertionError


class Null(Sink):
    type_name = "null"

    def deliver(self, datapoint, checkpoint):
        raise AssertionError


class Plugin:
    @hookimpl
    def al_register_configuration_providers(self):
        return [Cloud]

    @hookimpl
    def al_register_sinks(self):
        return [Null]


ENTRY = {"type": "cloud", "project": "parts", "api_key": "${KEY}"}
HOST = PluginHost.without_discovery({"clouds": Plugin()})


def document(**changes):
    return {"configuration": dict(ENTRY), "sinks": [{"type": "null"}], **changes}


def load(data):
    return load_configuration(read_document(data), HOST, environ={"KEY": "abcdef"})


def faults_of(data):
    with pytest.raises(ConfigurationError) as caught:
        load(data)
    return [str(fault) for fault in caught.value.faults]


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft202012Validator(build_schema(HOST))


def test_a_provider_stands_in_place_of_the_document(validator):
    configuration = load(document())
    entry = configuration.provider

    assert validator.is_valid(document())
    assert (entry.kind, entry.type_name, entry.name) == (
        "configuration_provider",
        "cloud",
        "cloud",
    )
    assert entry.options.project == "parts"
    assert secret_values(entry.options) == ("abcdef",)
    assert configuration.active_learning is None
    assert configuration.strategies == ()


def test_a_document_needs_no_provider(good, load):
    assert load(good).provider is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"active_learning": {"enabled": False}},
            "configuration: stands beside `active_learning`: keep one of the two",
        ),
        ({"configuration": None}, "configuration: should be a mapping such as {type: cloud}"),
        (
            {"configuration": {**ENTRY, "type": "clod"}},
            (
                "configuration.type: there is no configuration provider type 'clod' (did you mean "
                "'cloud'?)"
            ),
        ),
        (
            {"configuration": {**ENTRY, "projct": "x"}},
            "configuration.projct: unknown key, did you mean 'project'?",
        ),
        (
            {"configuration": {"type": "cloud", "project": "", "api_key": "x"}},
            "configuration.project: should be text that is not empty, not ''",
        ),
        (
            {"configuration": {"type": "cloud", "project": "p"}},
            (
                "configuration.api_key: is missing: the key (configuration provider type 'cloud', "
                "plugin 'clouds')"
            ),
        ),
    ],
)
def test_a_fault_is_named_and_the_schema_sees_it_too(validator, change, message):
    [fault] = faults_of(document(**change))

    assert fault.startswith(message)
    assert not validator.is_valid(document(**change))


def test_one_of_the_two_is_needed(validator):
    data = {"sinks": [{"type": "null"}]}

    assert faults_of(data) == [
        (
            "active_learning: is missing: a Roboflow Active Learning document that says which "
            "frames to collect; or name in `configuration` what fetches one"
        )
    ]
    assert not validator.is_valid(data)


def test_the_key_is_in_neither_the_hash_nor_any_text(tmp_path):
    (tmp_path / "key").write_text("abcdef\n")
    literal = load(document(configuration={**ENTRY, "api_key": "abcdef"}))
    other = load(document(configuration={**ENTRY, "api_key": "ghijkl"}))
    project = load(document(configuration={**ENTRY, "project": "q"}))
    from_file = load(document(configuration={**ENTRY, "api_key": f"file:{tmp_path / 'key'}"}))

    assert secret_values(from_file.provider.options) == ("abcdef",)
    assert literal.configuration_hash == other.configuration_hash
    assert literal.configuration_hash != project.configuration_hash
    assert "abcdef" not in repr(literal)


def test_every_secret_of_the_options_is_found():
    class Deep(Options):
        one: SecretStr = Field(description="One")
        raw: SecretBytes = Field(description="Raw")
        many: dict[str, list[SecretStr]] = Field(description="Many")
        plain: str = Field(default="plain", description="None")

    options = Deep(one=SecretStr("a"), raw=SecretBytes(b"b"), many={"x": [SecretStr("c")]})

    assert secret_values(options) == ("a", "b", "c")
