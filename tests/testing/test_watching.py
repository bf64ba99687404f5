"""What the contracts notice of a call, and that they cost nothing when nobody looks."""

import threading
from types import BuiltinFunctionType, MethodType

from al_framework.testing._watching import _watch, watch_io


def test_files_are_noticed_on_the_thread_that_is_watched(tmp_path):
    def elsewhere():
        (tmp_path / "other").touch()

    with watch_io() as seen:
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join()
        (tmp_path / "mine").write_text("x")
    (tmp_path / "later").touch()

    assert [f"open of '{tmp_path / 'mine'}'"] == seen


def test_no_python_runs_at_an_event_that_nobody_watches():
    with watch_io():
        assert isinstance(type(_watch()).__call__, MethodType)

    assert isinstance(type(_watch()).__call__, BuiltinFunctionType)


def test_who_watches_goes_on_when_another_has_ended(tmp_path):
    begun, ended = threading.Event(), threading.Event()

    def elsewhere():
        with watch_io():
            begun.set()
            ended.wait(30)

    other = threading.Thread(target=elsewhere)
    other.start()
    assert begun.wait(30)
    with watch_io() as seen:
        ended.set()
        other.join(30)
        (tmp_path / "mine").touch()

    assert any(str(tmp_path / "mine") in one for one in seen)
    assert isinstance(type(_watch()).__call__, BuiltinFunctionType)
