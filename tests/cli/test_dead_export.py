"""Dead letters are exported into a directory: a picture and a description for each."""

import dataclasses
import json
import os
import re
import stat

import PIL.Image
import pytest

from al_framework.api import AlFrameworkError
from al_framework.cli import _letters
from al_framework.cli._letters import LetterDirectory
from al_framework.cli._spools import Place, opened
from al_framework.pipeline.spool.dead import DeadLetter


def group_files(desk):
    return sorted((desk.directory / ".al" / "line" / "obj").rglob("*.als"))


def corrupt(desk):
    for path in group_files(desk):
        content = bytearray(path.read_bytes())
        for start in re.finditer(b"\xff\xd8\xff", bytes(content)):  # each picture of the group
            content[start.start() + 10] ^= 0xFF
        path.write_bytes(content)


def test_an_export_holds_a_picture_and_a_description_for_each(refused, letters, desk):
    result = refused("dead", "export", "out/deep")
    target = desk.directory / "out" / "deep"
    names = {letter["item_id"] for letter in letters}

    assert result.status == 0
    assert result.out == "3 dead letters written to 'out/deep'\n"
    assert {path.name for path in target.iterdir()} == {
        f"{name}.{suffix}" for name in names for suffix in ("jpg", "json")
    }
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    for letter in letters:
        picture = target / f"{letter['item_id']}.jpg"
        said = json.loads((target / f"{letter['item_id']}.json").read_text())
        with PIL.Image.open(picture) as image:
            assert image.size == (64, 48)
        assert stat.S_IMODE(picture.stat().st_mode) == 0o600
        assert said["frame_id"] == letter["frame_id"]
        assert said["sinks"][0]["reason"] == "it wants no cats"
        assert said["datapoint"]["frame_id"] == letter["frame_id"]


def test_an_export_can_be_made_again_and_of_some_only(refused, letters, desk):
    name = letters[0]["item_id"]
    refused("dead", "export", "out", name)
    (desk.directory / "out" / f".{name}.jpg.partial").write_bytes(b"an export that was killed")
    again = refused("dead", "export", "out", name, "--json")

    assert again.summary == {"directory": "out", "written": [name], "troubles": []}
    assert len(list((desk.directory / "out").iterdir())) == 2


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_an_export_names_what_cannot_be_read(refused, letters, desk, option):
    corrupt(desk)
    result = refused("dead", "export", "out", *option)

    assert result.status == 1
    assert all(letter["item_id"] in result.out for letter in letters)
    assert "do not match their checksum" in result.out
    assert list((desk.directory / "out").iterdir()) == []


def test_an_export_into_a_file_is_refused(refused, desk):
    (desk.directory / "out").write_text("in the way")
    result = refused("dead", "export", "out")

    assert result.status == 1
    assert result.err == (
        "Error: export to 'out': File exists; make room there, or give another directory\n"
    )


@pytest.fixture
def letter(refused, letters):
    return DeadLetter(**letters[0])


@pytest.fixture
def datapoint(refused, letter, desk):
    with opened(Place(directory=desk.directory / ".al" / "line", option="")) as spool:
        return spool.dead.load(letter.item_id)


def test_links_in_the_directory_are_replaced_and_not_followed(letter, datapoint, tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    target = tmp_path / "out"
    target.mkdir()
    for name in (f"{letter.item_id}.jpg", f".{letter.item_id}.jpg.partial"):
        (target / name).symlink_to(outside)
    os.link(outside, target / f".{letter.item_id}.json.partial")
    directory = LetterDirectory(target)
    directory.write([letter], datapoint)
    directory.close()

    assert outside.read_text() == "mine"
    assert not (target / f"{letter.item_id}.jpg").is_symlink()
    assert (target / f"{letter.item_id}.jpg").read_bytes() == datapoint.image


@pytest.mark.parametrize("item_id", ["../up", "/etc/passwd", "", ".hidden", "a\0b", "a" * 65])
def test_a_name_that_is_none_of_ours_names_no_file(letter, datapoint, tmp_path, item_id):
    directory = LetterDirectory(tmp_path / "out")

    with pytest.raises(
        AlFrameworkError,
        match=r"^dead letter .*: its name is none that al-framework gives, so no file is named "
        r"after it$",
    ):
        directory.write([dataclasses.replace(letter, item_id=item_id)], datapoint)

    directory.close()

    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("step", ["write", "close"])
def test_a_full_disk_is_told_as_one(letter, datapoint, tmp_path, monkeypatch, step):
    directory = LetterDirectory(tmp_path / "out")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    if step == "close":
        directory.write([letter], datapoint)
    monkeypatch.setattr(_letters.os, "fsync", full)

    with pytest.raises(
        AlFrameworkError,
        match=r"^export to '.*out': No space left on device; make room there, or give another "
        r"directory$",
    ):
        directory.close() if step == "close" else directory.write([letter], datapoint)


def test_a_letter_of_two_sinks_is_one_file_that_names_both(letter, datapoint, tmp_path):
    directory = LetterDirectory(tmp_path)
    directory.write([letter, dataclasses.replace(letter, sink="other")], datapoint)
    directory.close()
    said = json.loads((tmp_path / f"{letter.item_id}.json").read_text())

    assert [one["sink"] for one in said["sinks"]] == ["picky", "other"]
