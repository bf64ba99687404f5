"""The directory sink stores each datapoint once, whatever crashes or runs beside it."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pytest

import al_framework_local
from al_framework.api import (
    Detections,
    PermanentSinkError,
    Receipt,
    datapoint_from_dict,
    datapoint_to_dict,
)
from al_framework.testing.fakes import FakeCheckpoint, FakeClock, make_context, sample_jpeg
from al_framework_local.durable import create_file
from al_framework_local.null import NullSink
from al_framework_local.sink import DirectorySink
from al_framework_local.source import DirectorySource


def deliver(sink, datapoint):
    return sink.deliver(datapoint, FakeCheckpoint())


def test_the_plugin_registers_its_components():
    assert tuple(al_framework_local.al_register_sources()) == (DirectorySource,)
    assert tuple(al_framework_local.al_register_sinks()) == (DirectorySink, NullSink)


def test_the_null_sink_takes_everything_and_stays_nowhere(tmp_path, datapoint):
    sink = NullSink(NullSink.Options(), make_context(tmp_path))
    sink.start()

    assert Receipt(status="created") == deliver(sink, datapoint())
    assert sink.location is None
    assert list(tmp_path.iterdir()) == []


def test_a_delivered_picture_is_stored_listed_and_linked(tmp_path, sink, datapoint):
    point = datapoint(frame_id="cam/site 3/img_7.png")
    receipt = deliver(sink, point)

    name = f"img_7-{point.content_key[:8]}.jpg"
    path = tmp_path / "collected" / "images" / name
    assert Receipt(status="created", remote_id=name, url=path.as_uri()) == receipt
    assert path == Path(unquote(urlparse(receipt.url).path))
    assert point.image == path.read_bytes()
    assert sink.location == str(tmp_path / "collected")


def test_the_manifest_keeps_everything(collected, sink, datapoint):
    found = Detections(
        xyxy=np.array([[0.1, 1 / 3, 30.0, 40.0]]),
        confidence=np.array([0.1 + 0.2]),
        class_name=("c\n\u202e\udc80\U0001f600",),
        image_size=(64, 48),
        document={"predictions": [{"x": 1.5}]},
    )
    point = datapoint(prediction=found)
    deliver(sink, point)
    (line,) = collected.lines
    again = datapoint_from_dict(line, image=point.image)

    assert datapoint_to_dict(point) == datapoint_to_dict(again)
    assert f"images/img_1-{point.content_key[:8]}.jpg" == line["file"]
    assert line["delivered_at"] == 1_700_000_000.0


def test_the_same_datapoint_or_picture_is_a_duplicate_in_later_runs_too(
    collected, sink, new_sink, datapoint
):
    first = deliver(sink, datapoint(1))
    expected = Receipt(status="duplicate", remote_id=first.remote_id, url=first.url)
    later = new_sink()
    later.start()

    for again in (sink, later):
        assert expected == deliver(again, datapoint(1))
        assert expected == deliver(again, datapoint(1, item_id="other", frame_id="cam/x.png"))
        assert expected == deliver(again, datapoint(1, image=sample_jpeg(seed=99)))
    assert [first.remote_id] == collected.pictures
    assert len(collected.lines) == 1


def test_what_another_process_appended_meanwhile_is_a_duplicate(
    collected, sink, new_sink, datapoint
):
    other = new_sink()
    other.start()
    deliver(other, datapoint(1))

    assert deliver(sink, datapoint(1)).status == "duplicate"
    assert deliver(sink, datapoint(2)).status == "created"
    assert len(collected.lines) == 2


def test_one_that_another_process_publishes_while_we_write_ours_is_a_duplicate(
    collected, sink, new_sink, datapoint, monkeypatch
):
    other = new_sink()
    other.start()

    def race(path: Path, data: bytes) -> None:
        monkeypatch.undo()
        create_file(path, data)
        deliver(other, datapoint(1))

    monkeypatch.setattr("al_framework_local.sink.create_file", race)

    assert deliver(sink, datapoint(1)).status == "duplicate"
    assert len(collected.lines) == len(collected.pictures) == 1


def test_a_crash_between_picture_and_line_leaves_one_of_each_after_the_retry(
    collected, sink, new_sink, datapoint, monkeypatch
):
    class KilledError(BaseException):
        pass

    def kill(*_args: object) -> None:
        raise KilledError

    monkeypatch.setattr("al_framework_local.manifest.Manifest.append", kill)
    with pytest.raises(KilledError):
        deliver(sink, datapoint())

    assert len(collected.pictures) == 1
    assert collected.lines == []

    monkeypatch.undo()
    restarted = new_sink()
    restarted.start()

    assert deliver(restarted, datapoint()).status == "created"
    assert len(collected.lines) == len(collected.pictures) == 1


def test_a_crash_in_the_middle_of_the_line_leaves_one_line_after_the_retry(
    collected, sink, datapoint, monkeypatch
):
    def kill(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:30])
        raise KeyboardInterrupt

    monkeypatch.setattr("al_framework_local.manifest.write_all", kill)
    with pytest.raises(KeyboardInterrupt):
        deliver(sink, datapoint())
    monkeypatch.undo()

    assert deliver(sink, datapoint()).status == "created"
    assert len(collected.lines) == len(collected.pictures) == 1


def test_a_torn_last_line_is_cut_off_at_the_start(collected, sink, new_sink, datapoint, caplog):
    deliver(sink, datapoint(1))
    path = collected.path / "manifest.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    restarted = new_sink()
    restarted.start()

    assert whole == path.read_bytes()
    assert (
        f"the last line was not written completely: its {len(whole) // 2} bytes are cut off"
        in caplog.text
    )
    assert deliver(restarted, datapoint(2)).status == "created"
    assert len(collected.lines) == 2


def test_a_whole_last_line_without_newline_gets_one(collected, sink, new_sink, datapoint):
    deliver(sink, datapoint(1))
    path = collected.path / "manifest.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole.removesuffix(b"\n"))
    restarted = new_sink()
    restarted.start()

    assert whole == path.read_bytes()
    assert deliver(restarted, datapoint(1)).status == "duplicate"
    assert deliver(restarted, datapoint(2)).status == "created"
    assert len(collected.lines) == 2


def test_lines_that_cannot_be_read_are_left_and_named(tmp_path, sink, new_sink, datapoint, caplog):
    deliver(sink, datapoint(1))
    path = tmp_path / "collected" / "manifest.jsonl"
    broken = b'garbage\n[]\n{"file": 3}\n' + path.read_bytes()
    path.write_bytes(broken)
    restarted = new_sink()
    restarted.start()

    assert broken == path.read_bytes()
    assert deliver(restarted, datapoint(1)).status == "duplicate"
    for number in (1, 2, 3):
        assert f"manifest.jsonl: line {number} cannot be read: it is left as it is" in caplog.text


def test_a_manifest_that_somebody_replaced_is_read_anew(tmp_path, sink, datapoint):
    deliver(sink, datapoint(1))
    deliver(sink, datapoint(2))
    path = tmp_path / "collected" / "manifest.jsonl"
    kept = path.read_bytes().splitlines(keepends=True)[1]
    copy = path.with_name("edited")
    copy.write_bytes(kept)
    copy.replace(path)

    assert deliver(sink, datapoint(2)).status == "duplicate"
    assert deliver(sink, datapoint(1)).status == "created"


def test_two_pictures_whose_keys_begin_alike_have_two_names(collected, sink, datapoint):
    keys = ["0" * 63 + "1", "0" * 63 + "2"]
    names = [
        deliver(
            sink, datapoint(i, content_key=key, frame_id="cam/a.png", image=sample_jpeg(seed=i))
        ).remote_id
        for i, key in enumerate(keys)
    ]

    assert names == ["a-00000000.jpg", f"a-{keys[1]}.jpg"]
    assert sorted(names) == collected.pictures


@pytest.mark.parametrize(
    "frame_id",
    ["../../../etc/passwd", "/etc/passwd", "..", "", "a\x00b", "x" * 5000, "\udcff", "a/<b>.jpg"],
)
def test_hostile_frame_ids_stay_in_the_directory(tmp_path, collected, sink, datapoint, frame_id):
    receipt = deliver(sink, datapoint(frame_id=frame_id))

    assert [receipt.remote_id] == collected.pictures
    assert [frame_id] == [line["frame_id"] for line in collected.lines]
    assert [tmp_path / "collected"] == list(tmp_path.iterdir())


def test_eight_threads_store_every_picture_once(collected, sink, datapoint):
    points = [datapoint(number) for number in range(12)]
    statuses: list[str] = []
    gate = threading.Barrier(8)

    def work() -> None:
        gate.wait()
        statuses.extend(deliver(sink, point).status for point in points)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert statuses.count("created") == 12
    assert statuses.count("duplicate") == 7 * 12
    assert len(collected.lines) == len(collected.pictures) == 12
    assert {point.item_id for point in points} == {line["item_id"] for line in collected.lines}


def test_two_processes_store_every_picture_once(tmp_path, collected):
    code = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import make_datapoint, make_sink
from al_framework.testing.fakes import FakeCheckpoint
sink = make_sink(Path(sys.argv[1]))
sink.start()
print(sum(sink.deliver(make_datapoint(n), FakeCheckpoint()).status == "created" for n in range(9)))
"""
    command = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    created = [int(child.communicate(timeout=120)[0]) for child in children]

    assert sum(created) == 9
    assert len(collected.lines) == len(collected.pictures) == 9


def test_a_number_that_json_cannot_express_is_permanent(collected, sink, datapoint):
    with pytest.raises(
        PermanentSinkError,
        match=r"^sink 'store': the datapoint 'item-1' of frame 'cam/img_1.png' cannot be written "
        "as JSON: Out of range float values",
    ):
        deliver(sink, datapoint(utility=float("nan")))

    assert collected.lines == []


def test_old_partial_files_are_removed_at_the_start_and_young_ones_are_not(collected, new_sink):
    images = collected.path / "images"
    images.mkdir(parents=True)
    for name, age in ((".old.partial", 4000), (".young.partial", 60)):
        (images / name).write_bytes(b"x")
        os.utime(images / name, (1_700_000_000 - age, 1_700_000_000 - age))
    new_sink(clock=FakeClock(1_700_000_000)).start()

    assert collected.pictures == [".young.partial"]


def test_close_is_safe_without_start_and_twice(new_sink):
    sink = new_sink()
    sink.close()
    sink.close()
