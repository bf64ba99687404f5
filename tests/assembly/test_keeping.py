import json
import logging
from types import MappingProxyType

import pytest

from al_framework.api import ProvidedConfiguration, Target
from al_framework.assembly.keeping import Keeper
from al_framework.assembly.masking import Mask

ANSWER = ProvidedConfiguration(
    document={"enabled": True, "tags": ["a", "ü"]},
    reason="because",
    target=Target(workspace="w", project=None),
)
NO_SECRETS = Mask(())


@pytest.fixture
def keeper(tmp_path):
    return Keeper(tmp_path / "deep" / "state", "me", mask=NO_SECRETS, read_only=False)


@pytest.fixture
def kept(keeper, tmp_path):
    """The file, with an answer in it."""
    keeper.write(ANSWER, 5.0)
    [file] = (tmp_path / "deep" / "state").iterdir()
    return file


def test_what_is_written_is_read(keeper, kept):
    found = keeper.read()

    assert (found.provided, found.at) == (ANSWER, 5.0)


def test_a_later_answer_takes_the_place_of_the_first(keeper, kept):
    keeper.write(ProvidedConfiguration(document=None), 6.0)

    assert keeper.read().provided.document is None
    assert [kept] == list(kept.parent.iterdir())


def test_nobody_else_can_read_it(kept):
    assert kept.stat().st_mode & 0o777 == 0o600


def test_there_is_none_at_first(keeper):
    assert keeper.read() is None


def test_each_identity_has_its_own(keeper, kept, tmp_path):
    other = Keeper(kept.parent, "you", mask=NO_SECRETS, read_only=False)
    other.write(ProvidedConfiguration(document={}), 7.0)

    assert keeper.read().at == 5.0
    assert other.read().at == 7.0
    assert "me" not in kept.name


def test_a_file_under_a_strangers_name_is_not_taken(keeper, kept):
    other = Keeper(kept.parent, "you", mask=NO_SECRETS, read_only=False)
    other.write(ANSWER, 7.0)
    [theirs] = set(kept.parent.iterdir()) - {kept}
    kept.replace(theirs)

    assert other.read() is None


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:20],
        lambda text: "",
        lambda text: "[1]",
        lambda text: text.replace('"at"', '"when"'),
        lambda text: text.replace('"workspace"', '"galaxy"'),
        lambda text: json.dumps(json.loads(text) | {"document": 5}),
        lambda text: json.dumps(json.loads(text) | {"target": "w"}),
        lambda text: json.dumps(json.loads(text) | {"at": 1e300}),
        lambda text: json.dumps(json.loads(text) | {"at": float("nan")}),
        lambda text: text.replace('"enabled": true', '"x":' + "[" * 100_000),
    ],
)
def test_a_torn_file_is_left_alone_and_said(keeper, kept, caplog, change):
    kept.write_text(change(kept.read_text()))

    assert keeper.read() is None
    assert f"the kept document '{kept}' cannot be read: " in caplog.text


def test_a_directory_that_cannot_be_looked_into_is_said(keeper, kept, caplog, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.is_file", refuse)

    assert keeper.read() is None
    assert "cannot be read: [Errno 13] Permission denied" in caplog.text


def test_a_document_that_could_not_be_read_again_is_not_written(keeper, kept, caplog):
    keeper.write(ProvidedConfiguration(document=None, reason="x" * (4 << 20)), 6.0)

    assert keeper.read().at == 5.0
    assert f"the document cannot be kept in '{kept}': it is larger than 4 MiB" in caplog.text


def test_mappings_of_any_kind_are_kept(keeper):
    document = MappingProxyType({"batching_strategy": MappingProxyType({"n": 1})})
    keeper.write(ProvidedConfiguration(document=document), 6.0)

    assert keeper.read().provided.document == {"batching_strategy": {"n": 1}}


def test_an_identity_may_be_any_text(tmp_path):
    keeper = Keeper(tmp_path, "half a \ud800 character", mask=NO_SECRETS, read_only=False)
    keeper.write(ANSWER, 5.0)

    assert keeper.read().at == 5.0


def test_a_full_disk_is_said_once_and_leaves_the_old_answer(keeper, kept, caplog, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    keeper.write(ProvidedConfiguration(document={}), 6.0)
    keeper.write(ProvidedConfiguration(document={}), 7.0)
    messages = [record.getMessage() for record in caplog.records]

    assert keeper.read().at == 5.0
    assert [kept] == list(kept.parent.iterdir())
    assert messages == [
        f"the document cannot be kept in '{kept}': [Errno 28] No space left on device"
    ]


def test_a_document_that_holds_the_key_is_not_kept(tmp_path, caplog):
    keeper = Keeper(tmp_path, "me", mask=Mask(['the"key']), read_only=False)
    keeper.write(ProvidedConfiguration(document={"tags": ['x the"key x']}), 5.0)

    assert keeper.read() is None
    assert "it holds the key itself" in caplog.text
    assert 'the"key' not in caplog.text


def test_a_reason_is_kept_without_the_key(tmp_path):
    keeper = Keeper(tmp_path, "me", mask=Mask(["abcdef"]), read_only=False)
    keeper.write(ProvidedConfiguration(document=None, reason="key abcdef is out"), 5.0)

    assert keeper.read().provided.reason == "key *** is out"


@pytest.mark.parametrize(("identity", "read_only"), [("", False), ("me", True)])
def test_nothing_is_kept_without_an_identity_or_in_a_dry_run(
    tmp_path, caplog, *, identity, read_only
):
    caplog.set_level(logging.DEBUG)
    keeper = Keeper(tmp_path, identity, mask=NO_SECRETS, read_only=read_only)
    keeper.write(ANSWER, 5.0)

    assert keeper.read() is None
    assert list(tmp_path.iterdir()) == []
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("a/b+c d", "***"),
        ("x=a%2Fb%2Bc+d&y", "x=***&y"),
        ("x=a/b%2Bc%20d", "x=***"),
        ("no secret: abc", "no secret: abc"),
    ],
)
def test_a_secret_is_hidden_however_it_is_spelt(text, masked):
    assert Mask(["a/b+c d", "abc", ""])(text) == masked
