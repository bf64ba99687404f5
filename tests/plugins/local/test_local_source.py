import errno
import logging
import os
from pathlib import Path, PurePosixPath

import pytest
from pydantic import ValidationError

from al_framework.api import Frame, FrameKey, PredictionError, SourceError
from al_framework.testing.fakes import make_context, sample_jpeg
from al_framework_local.listing import list_files, matches, natural_key
from al_framework_local.source import DirectorySource


def make_source(base: Path, **options: object) -> DirectorySource:
    chosen = DirectorySource.Options.model_validate({"path": "frames", **options})
    return DirectorySource(chosen, make_context(base, name="cam"))


@pytest.fixture
def frames_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "frames"
    directory.mkdir()
    return directory


def put(directory: Path, *names: str) -> None:
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not even a picture")


def ids(source: DirectorySource) -> list[str]:
    return [frame.frame_id for frame in source.frames(lambda _: False)]


def frame_of(source: DirectorySource) -> Frame:
    return next(source.frames(lambda _: False))


def test_frames_come_in_natural_order_whatever_the_case(tmp_path, frames_dir):
    put(frames_dir, "img10.jpg", "IMG2.JPG", "img1.png", "b/10/x.webp", "b/9/x.tiff", "notes.txt")
    source = make_source(tmp_path)
    source.start()

    expected = ["b/9/x.tiff", "b/10/x.webp", "img1.png", "IMG2.JPG", "img10.jpg"]
    assert [f"cam/{name}" for name in expected] == ids(source)
    assert len(expected) == len(source)


def test_hidden_and_partial_files_and_hidden_directories_are_left_out(tmp_path, frames_dir):
    put(frames_dir, ".hidden.jpg", "a.jpg.partial", ".cache/b.jpg", "c.jpg")
    source = make_source(tmp_path, pattern="*")
    source.start()

    assert ids(source) == ["cam/c.jpg"]


def test_directories_are_not_read_without_recursive(tmp_path, frames_dir):
    put(frames_dir, "a.jpg", "sub/b.jpg")
    source = make_source(tmp_path, recursive=False)
    source.start()

    assert ids(source) == ["cam/a.jpg"]


def test_a_loop_of_links_ends_and_broken_links_are_left_out(tmp_path, frames_dir):
    put(frames_dir, "real/a.jpg")
    (frames_dir / "real" / "loop").symlink_to(frames_dir)
    (frames_dir / "twice").symlink_to(frames_dir / "real")
    (frames_dir / "gone.jpg").symlink_to(frames_dir / "missing.jpg")
    source = make_source(tmp_path)
    source.start()

    assert ids(source) == ["cam/real/a.jpg"]


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("a/b/c.JPG", "*.jpg", True),
        ("a/b/c.png", "*.jpg", False),
        ("a/b.jpg", "a/*.jpg", True),
        ("a/b/c.jpg", "a/*.jpg", False),
        ("a/b/c.jpg", "a/**/*.jpg", True),
        ("a/c.jpg", "a/**/*.jpg", True),
        ("b/c.jpg", "a/**/*.jpg", False),
        ("a", "a/b", False),
    ],
)
def test_patterns_match_names_or_paths(path, pattern, expected):
    assert expected == matches(PurePosixPath(path), (pattern,))


def test_natural_keys_of_names_that_differ_in_case_only_are_ordered():
    assert sorted(["a2", "a1", "a02", "A1"], key=natural_key) == ["A1", "a1", "a02", "a2"]


def test_a_frame_says_size_and_time_and_its_file_stays_closed(tmp_path, frames_dir, monkeypatch):
    put(frames_dir, "a.jpg")
    os.utime(frames_dir / "a.jpg", ns=(0, 1_600_000_000_500_000_000))
    source = make_source(tmp_path)
    source.start()
    keys: list[FrameKey] = []

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(os, "open", refuse)
    (frame,) = source.frames(lambda key: keys.append(key) is not None)

    expected = FrameKey(
        source="cam", frame_id="cam/a.jpg", size=18, mtime_ns=1_600_000_000_500_000_000
    )
    assert [expected] == keys
    assert frame.captured_at == 1_600_000_000.5
    assert frame.source == "cam"
    assert frame.image.path == frames_dir / "a.jpg"


def test_frames_that_skip_refuses_are_left_out(tmp_path, frames_dir):
    put(frames_dir, "a.jpg", "b.jpg")
    source = make_source(tmp_path)
    source.start()

    frames = source.frames(lambda key: key.frame_id == "cam/a.jpg")
    assert [frame.frame_id for frame in frames] == ["cam/b.jpg"]


def test_a_file_that_vanished_is_logged_and_left_out(tmp_path, frames_dir, caplog):
    put(frames_dir, "a.jpg", "b.jpg")
    source = make_source(tmp_path)
    source.start()
    (frames_dir / "a.jpg").unlink()

    assert ids(source) == ["cam/b.jpg"]
    assert "a.jpg is gone (No such file or directory): it is left out" in caplog.text


def test_a_name_that_is_no_utf8_keeps_its_bytes_readable(tmp_path, frames_dir):
    try:
        (frames_dir / os.fsdecode(b"a\xff.jpg")).write_bytes(b"x")
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    source = make_source(tmp_path)
    source.start()

    assert ids(source) == ["cam/a\\xff.jpg"]


def test_a_directory_that_cannot_be_listed_is_logged_and_left_out(
    tmp_path, frames_dir, monkeypatch, caplog
):
    put(frames_dir, "a.jpg", "locked/b.jpg")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listed = list(list_files(frames_dir, recursive=True, logger=logging.getLogger("test")))

    assert [PurePosixPath("a.jpg")] == listed
    assert "locked cannot be listed (Permission denied): it is left out" in caplog.text


def test_a_missing_directory_is_named_with_the_nearest(tmp_path):
    (tmp_path / "frame").mkdir()
    with pytest.raises(SourceError) as caught:
        make_source(tmp_path).start()

    expected = (
        f"source 'cam': the directory '{tmp_path}/frames' does not exist: did you mean 'frame'"
    )
    assert expected == str(caught.value)


def test_a_missing_directory_without_a_near_one_says_what_to_do(tmp_path):
    with pytest.raises(SourceError, match=r"does not exist: create it or correct path$"):
        make_source(tmp_path).start()


def test_a_directory_whose_parent_is_missing_too_says_so(tmp_path):
    with pytest.raises(SourceError, match=r"/nowhere' does not exist either: correct path$"):
        make_source(tmp_path, path="nowhere/frames").start()


def test_a_file_in_place_of_the_directory_is_named(tmp_path):
    (tmp_path / "frames").write_bytes(b"x")
    with pytest.raises(
        SourceError,
        match=r"frames' is a file, not a directory: set path to the directory that holds it$",
    ):
        make_source(tmp_path).start()


def test_a_root_that_cannot_be_listed_is_named(tmp_path, frames_dir, monkeypatch):
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(
        SourceError,
        match=r"frames' cannot be listed \(Permission denied\): check its permissions$",
    ):
        make_source(tmp_path).start()


def test_an_empty_directory_says_so(tmp_path, frames_dir):
    with pytest.raises(
        SourceError,
        match=r"no file in '.*/frames' matches '\*.jpg', .*: it is empty: "
        "correct path or put pictures there$",
    ):
        make_source(tmp_path).start()


@pytest.mark.parametrize(
    ("names", "seen"),
    [
        (["a.mp4"], r"1 file \(1 .mp4\)"),
        (["a.txt", "b.txt", "README"], r"3 files \(2 .txt, 1 without suffix\)"),
    ],
)
def test_a_directory_of_other_files_says_what_it_holds(tmp_path, frames_dir, names, seen):
    put(frames_dir, *names)
    with pytest.raises(
        SourceError, match=f"matches 'x/.*': it holds {seen}: correct path or pattern$"
    ):
        make_source(tmp_path, pattern="x/*.jpg").start()


def test_a_directory_of_directories_points_to_recursive(tmp_path, frames_dir):
    put(frames_dir, "sub/a.jpg")
    with pytest.raises(
        SourceError,
        match=r"it holds directories only: set recursive: true or correct path$",
    ):
        make_source(tmp_path, recursive=False).start()


@pytest.mark.parametrize("pattern", ["", [], ["*.jpg", ""]])
def test_an_empty_pattern_is_refused(pattern):
    with pytest.raises(ValidationError, match=r"name at least one pattern, and none that is empty"):
        DirectorySource.Options.model_validate({"path": "x", "pattern": pattern})


def test_the_prediction_beside_a_picture_is_read(tmp_path, frames_dir):
    (frames_dir / "a.jpg").write_bytes(sample_jpeg())
    (frames_dir / "a.json").write_text('{"predictions": [0.1, 1e-3, "\\u00e9"]}')
    source = make_source(tmp_path)
    source.start()

    expected = {"predictions": [0.1, 0.001, "é"]}
    assert expected == source.recorded_prediction(frame_of(source))


def test_no_prediction_is_read_without_a_file_or_with_beside_off(tmp_path, frames_dir):
    put(frames_dir, "a.jpg")
    source, deaf = make_source(tmp_path), make_source(tmp_path, beside=False)
    source.start()

    assert source.recorded_prediction(frame_of(source)) is None
    (frames_dir / "a.json").write_text("[]")

    assert source.recorded_prediction(frame_of(source)) == []
    assert deaf.recorded_prediction(frame_of(source)) is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"{", "is not usable JSON: Expecting property name"),
        (b"", "is not usable JSON: Expecting value"),
        (b"\xff\xff\xff", "is not usable JSON: 'utf-8' codec can't decode"),
        (b"[NaN]", "is not usable JSON: it holds NaN, which is no finite number$"),
        (b"[-Infinity]", "is not usable JSON: it holds -Infinity, which is no finite number$"),
        (b"[1e999]", "is not usable JSON: it holds 1e999, which is no finite number$"),
        (b"[" * 100_000, "is not usable JSON: it nests too deeply$"),
        (
            b"[" + b" " * 1024 * 1024,
            "holds more than 1048576 bytes: set beside: false if it is no prediction$",
        ),
    ],
)
def test_an_unusable_prediction_is_an_error_of_its_frame(tmp_path, frames_dir, content, fault):
    put(frames_dir, "a.jpg")
    (frames_dir / "a.json").write_bytes(content)
    source = make_source(tmp_path)
    source.start()
    with pytest.raises(PredictionError, match=f"the prediction '.*a.json' {fault}") as caught:
        source.recorded_prediction(frame_of(source))

    assert caught.value.frame_id == "cam/a.jpg"


def test_a_prediction_that_cannot_be_opened_is_an_error_of_its_frame(tmp_path, frames_dir):
    put(frames_dir, "a.jpg")
    (frames_dir / "a.json").mkdir()
    source = make_source(tmp_path)
    source.start()
    with pytest.raises(PredictionError, match=r"a.json' cannot be read: Is a directory$"):
        source.recorded_prediction(frame_of(source))
