"""What an editor says of configuration files, good and bad, and that the loader agrees."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from al_framework.api import ConfigurationError
from al_framework.cli.init import init
from al_framework.cli.schema import schema
from al_framework.config.loading import load_configuration, read_document
from al_framework.host import PluginHost

HERE = Path(__file__).parent / "documents"
EXAMPLES = Path(__file__).parents[2] / "examples"
SUFFIXES = {".yaml", ".yml", ".toml", ".json"}
ENVIRONMENT = {
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "ROBOFLOW_API_KEY": "key",
    "WEBHOOK_SECRET": "c2VjcmV0" * 5,
}
# A Roboflow document by itself, which a configuration would hold or fetch.
NO_CONFIGURATIONS = {"active_learning.json"}
HEADERS = {
    ".yaml": "# yaml-language-server: $schema=./al.schema.json\n",
    ".toml": "#:schema ./al.schema.json\n",
    ".json": "{",
}


def files_in(directory):
    return sorted(
        path
        for path in directory.glob("*")
        if path.suffix in SUFFIXES and path.name not in NO_CONFIGURATIONS
    )


# Projects among the examples are tested where their plugins are installed.
GOOD = files_in(HERE / "good") + [
    path
    for example in sorted(EXAMPLES.iterdir())
    if example.is_dir() and not (example / "pyproject.toml").exists()
    for path in files_in(example)
]
BAD = files_in(HERE / "bad")


@pytest.fixture(scope="module")
def host():
    return PluginHost.discover(environ={})


@pytest.fixture(scope="module")
def validator(host):
    printed = CliRunner().invoke(schema, obj={"host": host}).stdout
    return jsonschema.Draft202012Validator(json.loads(printed))


def as_an_editor_reads(path):
    text = path.read_text(encoding="utf-8")
    readers = {".json": json.loads, ".toml": tomllib.loads}
    return readers.get(path.suffix, YAML(typ="safe", pure=True).load)(text)


def named(path):
    return path.name


@pytest.mark.parametrize("path", GOOD, ids=named)
def test_a_good_file_passes_editor_and_loader(path, validator, host):
    load_configuration(read_document(path), host, environ=ENVIRONMENT)

    assert [error.message for error in validator.iter_errors(as_an_editor_reads(path))] == []


@pytest.mark.parametrize("path", BAD, ids=named)
def test_a_bad_file_is_refused_by_both_and_for_what_is_wrong_in_it(path, validator, host):
    told = re.findall(r"^# wrong: (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(read_document(path), host, environ=ENVIRONMENT)

    assert not validator.is_valid(as_an_editor_reads(path))
    assert [fault.path for fault in caught.value.faults] == (told or ["spol"])


@pytest.mark.parametrize("path", files_in(HERE / "good") + BAD, ids=named)
def test_every_file_begins_with_the_line_that_editors_look_for(path):
    assert path.read_text(encoding="utf-8").startswith(HEADERS[path.suffix])


@pytest.mark.parametrize("sink", ["directory", "null"])
@pytest.mark.parametrize("suffix", [".yaml", ".toml"])
def test_what_al_init_writes_passes_and_names_the_schema(
    tmp_path, monkeypatch, validator, suffix, sink
):
    monkeypatch.chdir(tmp_path)
    written = CliRunner().invoke(init, [f"al{suffix}", "--sink", sink])
    path = tmp_path / f"al{suffix}"

    assert written.exit_code == 0
    assert path.read_text(encoding="utf-8").startswith(HEADERS[suffix])
    assert [error.message for error in validator.iter_errors(as_an_editor_reads(path))] == []


def test_there_are_files_of_every_format_on_both_sides():
    assert {path.suffix for path in GOOD} == {path.suffix for path in BAD} == set(HEADERS)
    assert len(BAD) >= 12
    assert EXAMPLES / "quickstart" / "al.yaml" in GOOD
