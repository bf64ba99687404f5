import re

import pytest

from al_framework.api import SourceError
from al_framework_video.files import find_videos


@pytest.fixture
def clips(tmp_path):
    for name in ("b.mp4", "clip10.mp4", "clip2.mp4", "clip02.mp4", "deep/er/a.mp4", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "folder.mp4").mkdir()
    return tmp_path


def names(path):
    return [video.relative for video in find_videos(path)]


def test_one_file_is_called_by_its_name(clips):
    assert ["clip2.mp4"] == names(clips / "clip2.mp4")


def test_a_pattern_gives_files_in_natural_order(clips):
    assert ["b.mp4", "clip02.mp4", "clip2.mp4", "clip10.mp4"] == names(clips / "*.mp4")


def test_names_start_at_the_first_directory_without_a_wildcard(clips):
    assert "deep/er/a.mp4" in names(clips / "**" / "*.mp4")
    assert ["er/a.mp4"] == names(clips / "deep" / "**" / "*.mp4")
    assert ["deep/er/a.mp4"] == names(clips / "d*" / "er" / "a.mp4")


def test_a_relative_pattern_stays_relative(clips, monkeypatch):
    monkeypatch.chdir(clips)

    (video,) = find_videos(clips.joinpath("deep/er/*.mp4").relative_to(clips))

    assert "a.mp4" == video.relative


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(clips):
    (clips / "take[1].mp4").touch()

    assert ["take[1].mp4"] == names(clips / "take[1].mp4")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clip3.mp4", "clip3.mp4': did you mean 'clip2.mp4'"),
        ("zzz", "zzz': check 'path'"),
        ("nowhere/a.mp4", r"a.mp4': the directory '[^']*nowhere' does not exist either"),
        ("*.avi", r"no file matches the pattern '[^']*avi': check 'path'"),
        ("fold*.mp4", r"no file matches the pattern '[^']*fold"),
        ("deep", r"deep' is a directory: name one video, or a pattern such as '[^']*deep.\*.mp4'"),
    ],
)
def test_what_is_not_there_is_named(clips, name, message):
    with pytest.raises(SourceError, match=message):
        find_videos(clips / name)


def test_a_missing_file_is_said_to_be_missing(clips):
    with pytest.raises(SourceError, match=re.escape(f"there is no video {str(clips / 'x.mp4')!r}")):
        find_videos(clips / "x.mp4")
