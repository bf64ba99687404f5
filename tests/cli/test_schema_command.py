import json

import jsonschema
import pytest
from click.testing import CliRunner

import al_framework_local
import al_framework_roboflow
from al_framework.cli.schema import schema
from al_framework.host.plugins import PluginHost


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    host = PluginHost.without_discovery(
        {"local": al_framework_local, "roboflow": al_framework_roboflow}
    )
    return lambda *arguments: CliRunner().invoke(schema, arguments, obj={"host": host})


def test_the_schema_is_printed_as_json(run):
    result = run()
    printed = json.loads(result.stdout)
    jsonschema.Draft202012Validator.check_schema(printed)

    assert result.exit_code == 0
    assert "sink_directory" in printed["$defs"]
    assert "strategy_random" in printed["$defs"]


def test_the_schema_can_be_written_to_a_file(run, tmp_path):
    result = run("--output", "al.schema.json")

    assert result.stdout == "al.schema.json: written\n"
    assert json.loads(run().stdout) == json.loads((tmp_path / "al.schema.json").read_text())


def test_a_file_that_cannot_be_written_is_reported(run):
    result = run("-o", "missing/al.schema.json")

    assert result.exit_code == 1
    assert "missing/al.schema.json: cannot be written: No such file or directory" in result.stderr
