import hashlib

import pytest

from al_framework.pipeline.spool.groupfile import (
    FOOTER,
    MAGIC,
    VERSION,
    GroupItem,
    read_item,
    scan_group,
    write_group,
)
from al_framework.pipeline.spool.records import CorruptItemError, Place

ITEMS = [(b"first picture", b"{1}"), (b"", b"{22}"), (b"third", b"")]


@pytest.fixture
def group(tmp_path):
    path = tmp_path / "group.als"
    return path, write_group(path, [GroupItem(*item) for item in ITEMS])


def test_what_was_written_is_read(group):
    path, places = group

    assert [read_item(path, place) for place in places] == ITEMS


def test_a_file_is_never_overwritten(group):
    with pytest.raises(FileExistsError):
        write_group(group[0], [GroupItem(b"picture", b"{}")])


def test_what_is_known_of_a_picture_is_used_and_left_as_it_is(group, tmp_path):
    digests = [hashlib.sha256(image) for image, _ in ITEMS]
    before = [digest.digest() for digest in digests]
    other = tmp_path / "other.als"
    items = [GroupItem(*item, digest) for item, digest in zip(ITEMS, digests, strict=True)]

    assert write_group(other, items) == group[1]
    assert other.read_bytes() == group[0].read_bytes()
    assert before == [digest.digest() for digest in digests]


def test_a_scan_finds_every_datapoint(group):
    path, places = group

    assert list(scan_group(path.read_bytes())) == [
        (place, meta) for place, (_, meta) in reversed(list(zip(places, ITEMS, strict=True)))
    ]


@pytest.mark.parametrize("damaged", range(len(ITEMS)))
@pytest.mark.parametrize("at", ["content", "footer"])
def test_a_damaged_datapoint_leaves_its_neighbours_alone(group, damaged, at):
    path, places = group
    place = places[damaged]
    position = place.offset + (0 if at == "content" else place.image_bytes + place.meta_bytes + 20)
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(data)

    for number, neighbour in enumerate(places):
        if number == damaged:
            with pytest.raises(
                CorruptItemError,
                match=rf"^group file 'group\.als', offset {place.offset}: the bytes do not match"
                " their checksum$",
            ):
                read_item(path, neighbour)
        else:
            assert read_item(path, neighbour) == ITEMS[number]
    found = [place for place, _ in scan_group(bytes(data))]
    assert [p for n, p in enumerate(places) if n != damaged] == found[::-1]


@pytest.mark.parametrize("length", [0, 5, 13, 40, FOOTER.size + 16, FOOTER.size + 40])
def test_a_file_cut_short_keeps_what_is_whole(group, length):
    path, places = group
    data = path.read_bytes()[:length]

    found = list(scan_group(data))

    whole = places[0].image_bytes + places[0].meta_bytes + FOOTER.size
    assert [place for place, _ in found] == (places[:1] if length >= whole else [])


def test_what_looks_like_a_datapoint_inside_a_picture_is_none(group, tmp_path):
    path, _ = group
    outer = tmp_path / "outer.als"
    places = write_group(outer, [GroupItem(path.read_bytes(), b"{}")])

    assert [place for place, _ in scan_group(outer.read_bytes())] == places


def test_datapoints_do_not_overlap(tmp_path):
    # Somebody has put the last footer's first half into the picture after it.
    inner = FOOTER.pack(MAGIC, VERSION, 0, 0, hashlib.sha256(b"").digest())
    picture = inner[len(inner) // 2 :]
    digest = hashlib.sha256(picture).digest()
    outer = picture + FOOTER.pack(MAGIC, VERSION, len(picture), 0, digest)
    found = [place for place, _ in scan_group(inner[: len(inner) // 2] + outer)]

    assert found == [Place(offset=len(inner) // 2, image_bytes=len(picture), meta_bytes=0)]


@pytest.mark.parametrize(
    ("version", "image_bytes"), [(2, 1), (1, 10**6)], ids=["another version", "too long"]
)
def test_a_footer_that_cannot_be_is_passed_over(version, image_bytes):
    footer = FOOTER.pack(b"\xa1ALS\r\n\x1a\n", version, image_bytes, 0, b"\0" * 32)

    assert list(scan_group(b"x" + footer)) == []


def test_a_missing_file_is_corrupt(tmp_path):
    place = Place(offset=0, image_bytes=1, meta_bytes=1)

    with pytest.raises(
        CorruptItemError, match=r"^group file 'no\.als': No such file or directory$"
    ):
        read_item(tmp_path / "no.als", place)


def test_a_large_group_takes_several_calls(tmp_path, monkeypatch):
    import os

    calls = []
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, b: calls.append(len(b)) or real(fd, b))

    places = write_group(tmp_path / "g.als", [GroupItem(b"i", b"m")] * 400)

    assert [512, 512, 176] == calls
    assert read_item(tmp_path / "g.als", places[-1]) == (b"i", b"m")
