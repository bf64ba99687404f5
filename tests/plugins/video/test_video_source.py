import logging
import sys

import numpy as np
import pytest

import al_framework_video
from al_framework.api import MissingExtraError, SourceError
from al_framework.testing import SourceContract, make_context
from al_framework_video import decoding
from al_framework_video.source import VideoSource


def take_all(key):
    return False


def make(directory, **options):
    return VideoSource(VideoSource.Options(**options), make_context(directory, name="cam"))


def run(directory, skip=take_all, **options):
    source = make(directory, **options)
    source.start()
    try:
        return list(source.frames(skip))
    finally:
        source.close()


def ids(frames):
    return [frame.frame_id for frame in frames]


@pytest.fixture
def clip(tmp_path, write_clip):
    return write_clip(tmp_path / "clip.mp4")


@pytest.fixture
def conversions(monkeypatch):
    """Count the frames that are converted to pixels."""
    made = []
    original = decoding.DecodedFrame.pixels
    monkeypatch.setattr(
        decoding.DecodedFrame, "pixels", lambda self: (made.append(self.index), original(self))[1]
    )
    return made


class TestVideoSource(SourceContract):
    component = VideoSource

    @pytest.fixture(autouse=True)
    def _clip(self, tmp_path, write_clip):
        write_clip(tmp_path / "clips" / "a.mp4", frames=4)
        write_clip(tmp_path / "clips" / "b.mp4", frames=3)

    def prepare(self, directory):
        return {"path": "clips/*.mp4", "every": 2}

    def unreadable(self, directory):
        return {"path": "missing/*.mp4"}


def test_the_plugin_announces_the_source():
    assert [VideoSource] == al_framework_video.al_register_sources()


def test_a_real_clip_gives_every_tenth_frame(bikes, tmp_path):
    frames = run(tmp_path, path=str(bikes), every=10)

    assert [f"cam/bikes.mp4#{512 * n}" for n in range(0, 250, 10)] == ids(frames)
    assert {(640, 272)} == {frame.image.size for frame in frames}
    assert {"video": "bikes.mp4", "time_s": "0.400"} == dict(frames[1].attributes)
    assert {("cam", None)} == {(frame.source, frame.captured_at) for frame in frames}
    assert frames[0].image.pixels().std() > 10


def test_key_frames_of_a_real_clip(bikes, tmp_path):
    frames = run(tmp_path, path=str(bikes), keyframes=True)

    assert 6 == len(frames)
    assert "cam/bikes.mp4#0" == frames[0].frame_id
    assert set(ids(frames)) < set(ids(run(tmp_path, path=str(bikes))))


def test_pixels_are_bgr_in_the_order_of_time(clip, tmp_path):
    frames = run(tmp_path, path="clip.mp4")

    greys = [int(frame.image.pixels()[40, 60, 1]) for frame in frames]
    assert greys == pytest.approx([20 * index + 10 for index in range(9)], abs=6)
    assert frames[0].image.pixels()[10, 10].tolist() == pytest.approx([250, 0, 0], abs=25)


def test_ids_are_the_same_in_two_runs(clip, tmp_path):
    once, again = run(tmp_path, path="clip.mp4"), run(tmp_path, path="*.mp4")

    assert 9 == len(set(ids(once)))
    assert ids(once) == ids(again)


def test_every_counts_key_frames_where_those_are_asked_for(clip, tmp_path):
    keys = ids(run(tmp_path, path="clip.mp4", keyframes=True))

    assert 3 <= len(keys) < 9
    assert keys[::2] == ids(run(tmp_path, path="clip.mp4", keyframes=True, every=2))


def test_frames_that_are_done_are_not_converted(clip, tmp_path, conversions):
    first = run(tmp_path, path="clip.mp4")
    done = set(ids(first)[:5])
    conversions.clear()

    rest = run(tmp_path, lambda key: key.frame_id in done, path="clip.mp4")

    assert ids(first)[5:] == ids(rest)
    assert [5, 6, 7, 8] == conversions


def test_a_key_carries_the_size_and_date_of_the_file(clip, tmp_path):
    keys = []
    run(tmp_path, keys.append, path="clip.mp4")

    status = clip.stat()
    assert {(status.st_size, status.st_mtime_ns)} == {(key.size, key.mtime_ns) for key in keys}


def test_a_run_given_up_half_way_closes_its_file(clip, tmp_path):
    source = make(tmp_path, path="clip.mp4")
    source.start()
    frames = source.frames(take_all)
    next(frames)

    source.close()
    frames.close()
    source.close()

    assert source._open is None


def test_several_files_are_read_in_order(tmp_path, write_clip):
    for name in ("a10.mp4", "a2.mp4"):
        write_clip(tmp_path / "in" / name, frames=2)

    frames = run(tmp_path, path="in/*.mp4")

    assert ["a2.mp4", "a2.mp4", "a10.mp4", "a10.mp4"] == [f.attributes["video"] for f in frames]


def test_max_frames_counts_over_all_files_and_over_all_runs(tmp_path, write_clip):
    for name in ("a.mp4", "b.mp4"):
        write_clip(tmp_path / name, frames=4)
    first = run(tmp_path, path="*.mp4", max_frames=6)
    done = set(ids(first)[:3])

    again = run(tmp_path, lambda key: key.frame_id in done, path="*.mp4", max_frames=6)

    assert 6 == len(first)
    assert ids(first)[3:] == ids(again)
    assert 4 == len(run(tmp_path, path="*.mp4", max_frames=4))


def test_length_is_what_the_files_state(tmp_path, write_clip):
    for name in ("a.mp4", "b.mp4"):
        write_clip(tmp_path / name, frames=5)
    (tmp_path / "c.mp4").write_bytes(b"this is text")

    def length(**options):
        source = make(tmp_path, path="*.mp4", **options)
        source.start()
        return len(source)

    assert 10 == length()
    assert 6 == length(every=2)
    assert 3 == length(every=2, max_frames=3)
    with pytest.raises(TypeError, match="source 'cam' does not know how many frames it has"):
        length(keyframes=True)


def test_length_is_unknown_where_a_file_does_not_state_it(tmp_path, write_clip):
    write_clip(tmp_path / "a.mkv")
    source = make(tmp_path, path="a.mkv")
    source.start()

    with pytest.raises(TypeError, match="does not know how many frames"):
        len(source)
    assert 9 == len(list(source.frames(take_all)))


def test_a_missing_file_ends_the_run_before_it_begins(tmp_path):
    with pytest.raises(SourceError, match=r"there is no video '.*clip.mp4': check 'path'"):
        make(tmp_path, path="clip.mp4").start()


def test_a_file_that_is_no_video_is_named(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"this is text, not a video")

    with pytest.raises(
        SourceError, match=r"1 of 1 videos cannot be read: 'clip.mp4' \(Invalid data found"
    ):
        run(tmp_path, path="clip.mp4")


def test_a_broken_file_among_others_is_named_at_the_end(tmp_path, write_clip, caplog):
    write_clip(tmp_path / "a.mp4", frames=2)
    (tmp_path / "b.mp4").write_bytes(b"this is text")
    write_clip(tmp_path / "c.mp4", frames=2)
    source = make(tmp_path, path="*.mp4")
    source.start()
    seen = []

    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(SourceError, match=r"^1 of 3 videos cannot be read: 'b.mp4' \("),
    ):
        seen.extend(frame.attributes["video"] for frame in source.frames(take_all))

    assert "b.mp4' cannot be read: Invalid data" in caplog.text


def test_the_frames_around_a_broken_file_are_read(tmp_path, write_clip):
    write_clip(tmp_path / "a.mp4", frames=2)
    (tmp_path / "b.mp4").write_bytes(b"this is text")
    write_clip(tmp_path / "c.mp4", frames=2)
    source = make(tmp_path, path="*.mp4")
    source.start()
    frames = source.frames(take_all)

    assert ["a.mp4", "a.mp4", "c.mp4", "c.mp4"] == [
        next(frames).attributes["video"] for _ in range(4)
    ]
    with pytest.raises(SourceError, match="1 of 3 videos cannot be read"):
        next(frames)


def test_a_file_that_goes_before_its_turn_is_named(clip, tmp_path):
    source = make(tmp_path, path="clip.mp4")
    source.start()
    clip.unlink()

    with pytest.raises(SourceError, match=r"'clip.mp4' \(No such file or directory\)"):
        list(source.frames(take_all))


def test_a_file_with_sound_alone_is_named(tmp_path):
    import av

    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        container.mux([*stream.encode(silence), *stream.encode(None)])

    with pytest.raises(SourceError, match=r"'sound.mp4' \(it holds no video stream\)"):
        run(tmp_path, path="sound.mp4")


def damage(source, target, start, length):
    """Overwrite a stretch in the middle of a copy."""
    data = bytearray(source.read_bytes())
    data[start : start + length] = b"\xff" * length
    target.write_bytes(data)


def test_what_still_decodes_of_a_damaged_clip_is_given(bikes, tmp_path, caplog):
    damage(bikes, tmp_path / "hurt.mp4", 200_000, 30_000)

    with caplog.at_level(logging.WARNING):
        frames = run(tmp_path, path="hurt.mp4")

    assert 150 < len(frames) < 250
    assert frames[-1].frame_id == f"cam/hurt.mp4#{512 * 249}"
    assert f"hurt.mp4' is damaged or cut off: {len(frames)} of 250 frames were read" in caplog.text
    assert ids(frames) == ids(run(tmp_path, path="hurt.mp4"))


def test_a_clip_that_is_cut_off_gives_what_is_there(tmp_path, write_clip, caplog):
    whole = write_clip(tmp_path / "whole.mp4", frames=60, movflags="faststart").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])

    with caplog.at_level(logging.WARNING):
        frames = run(tmp_path, path="cut.mp4")

    assert 0 < len(frames) < 60
    assert f"cut.mp4' is damaged or cut off: {len(frames)} of 60 frames were read" in caplog.text


def test_a_clip_of_which_nothing_decodes_is_named(bikes, tmp_path):
    damage(bikes, tmp_path / "dead.mp4", 44, 506_000)

    with pytest.raises(SourceError, match=r"'dead.mp4' \(none of its frames decodes\)"):
        run(tmp_path, path="dead.mp4")


def test_frames_of_a_phone_held_upright_are_upright(clip, tmp_path):
    def matrix(*numbers):
        return b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)

    one = 1 << 16
    plain = matrix(one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    clockwise = matrix(0, one, 0, -one, 0, 0, 48 * one, 0, 1 << 30)
    data = clip.read_bytes()
    header = data.index(b"tkhd")
    clip.write_bytes(data[:header] + data[header:].replace(plain, clockwise, 1))

    frame = run(tmp_path, path="clip.mp4")[0]

    assert (48, 64) == frame.image.size
    pixels = frame.image.pixels()
    # The blue quarter moves from the top left to the top right.
    assert pixels[10, 40].tolist() == pytest.approx([250, 0, 0], abs=25)
    assert pixels[10, 10].tolist() == pytest.approx([10, 10, 10], abs=10)


class Picture:
    def __init__(self, pts):
        self.pts = pts
        self.time = None if pts is None else pts / 10


def test_frames_without_a_stamp_of_their_own_are_named_by_their_number(clip, tmp_path, monkeypatch):
    pictures = [Picture(0), Picture(0), Picture(None), Picture(7)]
    monkeypatch.setattr(decoding.Video, "_pictures", lambda self: iter(pictures))
    monkeypatch.setattr(
        decoding.DecodedFrame, "pixels", lambda self: np.zeros((4, 4, 3), dtype=np.uint8)
    )

    frames = run(tmp_path, path="clip.mp4")

    assert ["cam/clip.mp4#0", "cam/clip.mp4#n1", "cam/clip.mp4#n2", "cam/clip.mp4#7"] == ids(frames)
    assert "time_s" not in frames[2].attributes


def test_without_pyav_one_sentence_names_the_extra(clip, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)

    with pytest.raises(
        MissingExtraError, match=r"'av' is not installed: run pip install 'al-framework\[video\]'"
    ):
        make(tmp_path, path="clip.mp4").start()
