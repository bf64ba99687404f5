"""The commands `al spool verify` and `gc`: damage is named, and rubbish is removed."""

import os

from al_framework.cli._spool_report import show_collected_garbage, show_verified
from al_framework.cli._spools import Place
from al_framework.cli._wording import plain_console
from al_framework.pipeline.spool.records import Damage, GcReport, VerifyReport


def test_verify_is_content_with_a_sound_spool(locked):
    result = locked("spool", "verify")

    assert result.status == 0
    assert result.out.startswith("3 datapoints read, ")
    assert result.out.endswith("KiB: all as they were accepted\n")


def test_verify_names_what_is_damaged(locked, desk):
    path = min((desk.directory / ".al" / "line" / "obj").rglob("*.als"))
    content = bytearray(path.read_bytes())
    content[10] ^= 0xFF
    path.write_bytes(content)
    result = locked("spool", "verify")
    as_json = locked("spool", "verify", "--json")
    (damaged,) = as_json.summary["damaged"]

    assert (result.status, as_json.status) == (1, 1)
    assert as_json.summary["sound"] is False
    assert f"{damaged['item_id']}: " in result.out
    assert "do not match their checksum" in result.out
    assert ": 1 datapoint damaged\n" in result.out


def test_gc_removes_what_belongs_to_nobody_and_verify_points_to_it(locked, desk):
    hour = desk.directory / ".al" / "line" / "obj" / "2020010100"
    hour.mkdir(mode=0o700)
    stray = hour / "stray.als"
    stray.write_bytes(b"nobody knows it")
    os.utime(stray, (1, 1))
    found = locked("spool", "verify").out
    result = locked("spool", "gc")
    again = locked("spool", "gc", "--json")

    assert "1 file belongs to no datapoint: al spool gc -c al.yaml\n" in found
    assert result.status == 0
    assert result.out.startswith("removed 1 file without a datapoint")
    assert not hour.exists()
    assert again.summary["files"] == 0
    assert locked("spool", "gc").out == "there was nothing to remove\n"


def test_every_kind_of_damage_and_of_rubbish_is_named(capsys, tmp_path):
    place = Place(directory=tmp_path, option="--spool here")
    show_verified(
        plain_console(),
        place,
        VerifyReport(
            items=2,
            bytes=5,
            damaged=(
                Damage(item_id="a", file="h/f.als", reason="gone"),
                Damage(item_id="b", file="h/f.als", reason="torn"),
            ),
            stray_files=("x", "y"),
            index_faults=("row 1 is missing",),
        ),
    )
    show_verified(plain_console(), place, VerifyReport(items=0, bytes=0, index_faults=("a", "b")))
    show_verified(
        plain_console(), place, VerifyReport(items=0, bytes=0, kept_files=1, kept_items=2)
    )
    show_collected_garbage(plain_console(), GcReport(files=2, bytes=2048, hours=1, set_aside=3))
    show_collected_garbage(plain_console(), GcReport(kept=2))

    anew = "to have the index built anew from the group files, end what works with the spool and"
    anew += f" rename {tmp_path / 'spool.db'}, with its -wal and -shm"
    kept = "the index does not know them; to deliver them, move the files to obj/kept of a new"
    kept += " directory and drain that"
    assert capsys.readouterr().out.splitlines() == [
        "index: row 1 is missing",
        "a: gone",
        "b: torn",
        "2 datapoints read, 5 bytes: 2 datapoints damaged, 1 fault in the index",
        anew,
        "2 files belong to no datapoint: al spool gc --spool here",
        "index: a",
        "index: b",
        "0 datapoints read, 0 bytes: 2 faults in the index",
        anew,
        "0 datapoints read, 0 bytes: all as they were accepted",
        f"2 datapoints in 1 file of {tmp_path / 'damaged'}: {kept}",
        "removed 2 files without a datapoint, 1 empty directory, 3 old damaged files (2.0 KiB)",
        "moved 2 files with unknown datapoints to 'damaged': see al spool verify",
    ]
