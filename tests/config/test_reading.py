import codecs
import datetime as dt
from collections import UserDict
from pathlib import Path

import pytest

from al_framework.api import ConfigurationError
from al_framework.config.loading import read_document
from al_framework.config.reading import MAX_BYTES


@pytest.fixture
def write(tmp_path):
    def run(text, name="al.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return run


def faults(source):
    with pytest.raises(ConfigurationError) as caught:
        read_document(source)
    return [str(fault) for fault in caught.value.faults]


YAML = """\
name: line-3
sources:
  - type: directory
    path: frames
  - {type: directory,
     path: more}
spool:
  max_items: 0x10
  path: ~
"""


def test_yaml_becomes_plain_data_with_a_line_for_every_place(write, tmp_path):
    document = read_document(write(YAML))

    expected = {
        "name": "line-3",
        "sources": [
            {"type": "directory", "path": "frames"},
            {"type": "directory", "path": "more"},
        ],
        "spool": {"max_items": 16, "path": None},
    }
    assert expected == document.data
    assert tmp_path == document.base_dir
    assert str(tmp_path / "al.yaml") == document.origin
    lines = {
        "name": 1,
        "sources": 2,
        "sources[0]": 3,
        "sources[0].path": 4,
        "sources[1].path": 6,
        "spool.max_items": 8,
    }
    assert lines == {place: document.line_of(place) for place in lines}


@pytest.mark.parametrize(
    ("place", "line"),
    [("sources[1].pattern", 5), ("sources[7].path", 2), ("sinks", None), ("", None)],
)
def test_the_line_of_what_is_missing_is_that_of_what_it_lies_in(write, place, line):
    document = read_document(write(YAML))

    assert line == document.line_of(place)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'~'", "~"),
        ('"5"', "5"),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("-3", -3),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-2.", -2.0),
        ("2024-01-01", "2024-01-01"),
        ("12:30", "12:30"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("[1, [2, {}]]", [1, [2, {}]]),
    ],
)
def test_yaml_scalars_follow_the_core_schema_of_1_2(write, written, value):
    document = read_document(write(f"key: {written}"))

    assert value == document.data["key"]
    assert type(value) is type(document.data["key"])


def test_keys_are_text_as_written(write):
    document = read_document(write("1: a\nnull: b\nyes: c\n"))

    assert document.data == {"1": "a", "null": "b", "yes": "c"}


@pytest.mark.parametrize("name", ["al.yaml", "al.yml", "AL.YAML"])
def test_a_byte_order_mark_and_any_case_of_the_suffix_are_fine(write, name):
    document = read_document(write(codecs.BOM_UTF8 + b"name: x\n", name))

    assert document.data == {"name": "x"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: run `al init` to write a first configuration"),
        ("# nothing\n", "is empty: run `al init` to write a first configuration"),
        ("- a\n", "is a list, not a mapping: begin with lines such as `sinks:`"),
        ("5\n", "is a single value, not a mapping: begin with lines such as `sinks:`"),
        ("a: 1\nb: 2\na: 3\n", "line 3: a: is given twice, first on line 1: keep one"),
        ("a: &x 1\n", "line 1: a: the anchor '&x' is not allowed: remove it"),
        ("a: *x\n", "line 1: a: the alias '*x' is not allowed: write it out"),
        (
            "a: !!str 1\n",
            "line 1: a: the tag 'tag:yaml.org,2002:str' is not allowed: remove it",
        ),
        (
            "a: !python/object:os.system x\n",
            "line 1: a: the tag '!python/object:os.system' is not allowed: remove it",
        ),
        ("a: 1\n---\nb: 2\n", "line 2: holds more than one document: keep one"),
        ("? [1]\n: 2\n", "line 1: a list cannot be a key: use text"),
        ("? {a: 1}\n: 2\n", "line 1: a mapping cannot be a key: use text"),
        ("*x : 2\n", "line 1: an alias cannot be a key: use text"),
        ("a: .nan\n", "line 1: a: .nan is no finite number"),
        ("a: -.inf\n", "line 1: a: -.inf is no finite number"),
        ("a: 1e999\n", "line 1: a: inf is no finite number"),
        (f"a: {'9' * 5000}\n", "line 1: a: is too large a number"),
        (f"a: {'9' * 50}\n", "line 1: a: is too large a number"),
        ('a: "\\ud800"\n', "line 1: a: holds half a character (a lone surrogate)"),
        ("a: [1\nb: 2\n", "line 2: is not YAML: expected ',' or ']', but got ':' (column 2)"),
        ("a: \x07\n", "the character '\\x07' is not allowed in YAML"),
        ("a: " + "[" * 40 + "]" * 40, "line 1: a[0][0]: is nested more than 32 deep"),
        ("[" * 9000, "is nested more than 32 deep"),
        (b"a: 1\nb: \xff\n", "line 2: is not UTF-8: save it in that encoding"),
        (b"#" * (MAX_BYTES + 1), "is larger than 1 MiB: this cannot be a configuration"),
    ],
)
def test_faulty_yaml_is_refused(write, text, message):
    assert [message] == faults(write(text))


def test_all_faults_of_a_yaml_file_are_reported_at_once(write):
    found = faults(write("a: &x 1\nb: *x\na: !!int 2\nc: .nan\n"))

    assert [f.split(":")[0] for f in found] == ["line 1", "line 2", "line 3", "line 3", "line 4"]


def test_json_is_read_with_lines(write):
    document = read_document(write('{\n  "sinks": [\n    {"type": "null"}\n  ]\n}', "al.json"))

    assert document.data == {"sinks": [{"type": "null"}]}
    assert document.line_of("sinks[0].type") == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,}', "line 1: is not JSON: "),
        ("{'a': 1}", "line 1: is not JSON: expecting property name enclosed in double quotes"),
        ('{"a": 1,\n"a": 2}', "line 2: a: is given twice, first on line 1: keep one"),
        ('{\t"a": 1,\n\t"a": [1,\t2]}', "line 2: a: is given twice, first on line 1: keep one"),
        ('{"a": 1, "a": "\x7f"}', "a: is given twice: keep one"),
        ('{"a": NaN}', "NaN is no finite number"),
        ('{"a": 1e999}', "line 1: a: inf is no finite number"),
        (f'{{"a": {"9" * 5000}}}', "holds too large a number"),
        ("[]", "is a list, not a mapping"),
        ("[" * 100_000, "is nested more than 32 deep"),
        ('{"a": "\\ud800"}', "line 1: a: holds half a character (a lone surrogate)"),
    ],
)
def test_faulty_json_is_refused(write, text, message):
    found = faults(write(text, "al.json"))

    assert len(found) == 1
    assert found[0].startswith(message)


def test_toml_is_read_and_its_dates_become_text(write):
    document = read_document(write("day = 2024-01-02\n[[sinks]]\ntype = 'null'\n", "al.toml"))

    assert document.data == {"day": "2024-01-02", "sinks": [{"type": "null"}]}
    assert document.line_of("sinks[0].type") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = \n", "line 2: is not TOML: invalid value (column 5)"),
        ("a = 1\na = 2\n", "line 2: is not TOML: cannot overwrite a value (column 6)"),
        ("a = [1,\n", "is not TOML: "),
        ("a = nan\n", "a: nan is no finite number"),
        (f"a = {'9' * 5000}\n", "holds too large a number"),
        ("a = " + "[" * 9000, "is nested more than 32 deep"),
    ],
)
def test_faulty_toml_is_refused(write, text, message):
    found = faults(write(text, "al.toml"))

    assert len(found) == 1
    assert found[0].startswith(message)


def test_a_mapping_is_read_where_the_process_stands(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    document = read_document(
        UserDict(path=Path("a/b"), day=dt.date(2024, 1, 2), pair=(1, 2.5), flag=True, none=None)
    )

    expected = {"path": "a/b", "day": "2024-01-02", "pair": [1, 2.5], "flag": True, "none": None}
    assert expected == document.data
    assert ("<mapping>", tmp_path) == (document.origin, document.base_dir)
    assert document.line_of("path") is None


ENDLESS: dict[str, object] = {}
ENDLESS["again"] = ENDLESS


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"a": object()}, "a: a value of type 'object' has no place in a configuration"),
        ({"a": [b"x"]}, "a[0]: a value of type 'bytes' has no place in a configuration"),
        ({"a": {1: 2}}, "a: the key 1 is not text"),
        ({"a": {(1,): 2}}, "a: the key <tuple> is not text"),
        ({"a": {"\ud800": 2}}, "a: the key '\\ud800' is not text"),
        ({"a": float("nan")}, "a: nan is no finite number"),
        ({"a b": float("inf")}, "['a b']: inf is no finite number"),
        ({"a": 1 << 129}, "a: is too large a number"),
        (ENDLESS, "again.again.again: is nested more than 32 deep"),
    ],
)
def test_a_faulty_mapping_is_refused(mapping, message):
    assert [message] == faults(mapping)


def test_a_missing_file_is_reported_with_the_nearest_configuration(tmp_path, write):
    write("", "al.yaml")
    write("", "al.txt")

    assert faults(tmp_path / "al.yml") == ["does not exist: did you mean 'al.yaml'?"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("zebra.yaml", "does not exist: run `al init` to write a first configuration"),
        ("no/al.yaml", "does not exist, nor does its directory"),
        ("", "is a directory: name the configuration file in it"),
        ("a\0b.yaml", "does not exist"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path, name, message):
    found = faults(tmp_path / name)

    assert len(found) == 1
    assert found[0].startswith(message)


def test_another_suffix_is_refused(write):
    message = "cannot be read by its suffix '.conf': use one of .yaml, .yml, .json, .toml"

    assert [message] == faults(write("a: 1", "al.conf"))


def test_a_file_that_cannot_be_opened_is_reported(write, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    path = write("a: 1")
    monkeypatch.setattr(Path, "open", refuse)

    assert faults(path) == ["cannot be read: Permission denied"]


def test_a_relative_path_is_shown_as_given_and_based_absolutely(write, monkeypatch, tmp_path):
    write("a: 1")
    monkeypatch.chdir(tmp_path)
    document = read_document("al.yaml")

    assert ("al.yaml", tmp_path) == (document.origin, document.base_dir)


def test_a_document_does_not_show_its_data(write):
    document = read_document(write("key: hunter2\n"))

    assert "hunter2" not in repr(document)
