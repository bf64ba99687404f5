"""What `al doctor` says beside the plugins: commands, requirements, the schema of an editor."""

import json

import pytest

from al_framework.cli import COMMAND_GROUP

HELLO = """
import click

@click.command()
def hello():
    click.echo("hello from {}")
"""


def found(outcome, subject):
    return [
        (each["level"], each["message"])
        for each in outcome.summary["findings"]
        if each["subject"] == subject
    ]


def schema(al, *arguments):
    return found(al("doctor", *arguments, "--json"), "schema")


FITS = "it fits the plugins"
STALE = "it does not fit the plugins that are installed: run al schema"


def test_nothing_is_said_of_a_schema_that_nobody_wants(al, desk):
    assert schema(al) == []
    desk.write()
    assert schema(al) == []


@pytest.mark.parametrize("file", ["al.yaml", "line.yaml", "line.toml"])
def test_a_schema_that_is_named_and_missing_is_no_fault(al, desk, file):
    desk.frames.mkdir()
    al("init", file, "--images", "frames")
    option = "" if file == "al.yaml" else f" -c {file}"

    assert schema(al, "-c", file) == [
        (
            "ok",
            f"al.schema.json is not there; for an editor, run al schema{option} -o al.schema.json",
        )
    ]


@pytest.mark.parametrize("file", ["al.yaml", "line.toml"])
def test_a_schema_is_out_of_date_once_the_plugins_are_others(al, desk, file, monkeypatch):
    al("init", file)
    (desk.directory / "al.schema.json").write_text(al("schema").out)
    before = schema(al, "-c", file)
    monkeypatch.setenv("AL_DISABLE_PLUGINS", "video")
    option = "" if file == "al.yaml" else f" -c {file}"

    assert before == [("ok", f"al.schema.json: {FITS}")]
    assert schema(al, "-c", file) == [
        ("warning", f"al.schema.json: {STALE}{option} -o al.schema.json")
    ]


def test_what_the_message_says_mends_it(al, desk):
    (desk.directory / "al.yaml").write_text("plugins: {disable: [video]}\n")
    (desk.directory / "al.schema.json").write_text("{")
    before = schema(al)
    al("schema", "-o", "al.schema.json")

    assert before == [("warning", f"al.schema.json: {STALE} -o al.schema.json")]
    assert schema(al) == [("ok", f"al.schema.json: {FITS}")]


def test_a_schema_beside_no_configuration_is_looked_at(al, desk):
    (desk.directory / "al.schema.json").write_text("{}")

    assert schema(al) == [("warning", f"al.schema.json: {STALE} -o al.schema.json")]


@pytest.mark.parametrize(
    ("header", "path"),
    [
        ("# yaml-language-server: $schema=../schemas/al.json", "../schemas/al.json"),
        ("#yaml-language-server: $schema=al.json", "al.json"),
        ("# yaml-language-server: $schema=https://example.org/al.json", None),
    ],
)
def test_the_schema_that_the_header_names_is_meant(al, desk, header, path):
    desk.write()
    file = desk.directory / "al.yaml"
    file.write_text(f"{header}\n{file.read_text()}")
    seen = schema(al)

    assert [message.partition(" ")[0] for _, message in seen] == ([] if path is None else [path])


def test_a_configuration_that_cannot_be_read_is_one_finding(al, desk):
    (desk.directory / "al.yaml").write_bytes(b"name: \xff\n")
    result = al("doctor", "--json")

    assert result.status == 1
    assert [level for level, _ in found(result, "configuration")] == ["error"]
    assert schema(al) == []


def test_a_plugin_that_is_required_and_missing_is_one_finding(al, desk):
    desk.write()
    with (desk.directory / "al.yaml").open("a") as stream:
        stream.write("plugins: {require: ['no-such-dist>=1.2']}\n")
    result = al("doctor", "--json")

    assert result.status == 1
    assert found(result, "configuration") == [("ok", "al.yaml")]
    assert found(result, "plugins.require") == [
        ("error", "'no-such-dist>=1.2' is not installed: run pip install 'no-such-dist>=1.2'")
    ]


def test_commands_that_cannot_be_reached_are_named(desk):
    desk.install("a", HELLO.format("a"), group=COMMAND_GROUP, value="site_a:hello")
    desk.install("b", HELLO.format("b"), group=COMMAND_GROUP, value="site_b:hello")
    desk.install("c", HELLO.format("c"), group=COMMAND_GROUP, value="site_c:hello")
    for name, command in (("a", "hello"), ("b", "hello"), ("c", "run")):
        points = desk.site / f"al_{name}-1.2.dist-info" / "entry_points.txt"
        points.write_text(f"[{COMMAND_GROUP}]\n{command} = site_{name}:hello\n")
    findings = json.loads(desk.call("doctor", "--json").out)["findings"]
    remedy = "or ask its author for another name"

    assert desk.call("hello").out == "hello from a\n"
    assert [(f["level"], f["message"]) for f in findings if f["subject"] == "commands"] == [
        (
            "warning",
            (
                "command 'hello' of al-b (site_b:hello) is hidden by that of al-a:"
                f" uninstall al-b, {remedy}"
            ),
        ),
        (
            "warning",
            (
                "command 'run' of al-c (site_c:hello) is hidden by al's own:"
                f" uninstall al-c, {remedy}"
            ),
        ),
    ]
