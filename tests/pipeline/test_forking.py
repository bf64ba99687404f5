import gc

import pytest

from al_framework.pipeline import forking
from al_framework.pipeline.forking import tell_after_fork, tell_around_fork


class Listener:
    def __init__(self, name, told, error=None):
        self.name = name
        self.told = told
        self.error = error

    def after_fork(self):
        self.told.append(f"{self.name} child")
        if self.error is not None:
            raise self.error

    def before_fork(self):
        self.told.append(f"{self.name} before")

    def after_fork_in_parent(self):
        self.told.append(f"{self.name} parent")


@pytest.fixture
def hooks(monkeypatch):
    """What Python is asked to call, as (when, function)."""
    found = []
    monkeypatch.setattr("os.register_at_fork", lambda **more: found.extend(more.items()))
    for one in (forking._after, forking._around):
        one.cache_clear()
    yield found
    for one in (forking._after, forking._around):
        one.cache_clear()


def test_listeners_are_told_in_order_and_before_a_fork_in_reverse(hooks):
    told = []
    listeners = [Listener(name, told) for name in "ab"]
    for listener in listeners:
        tell_after_fork(listener)
        tell_around_fork(listener)
    for when in ("before", "after_in_parent", "after_in_child"):
        dict(hooks)[when]()

    assert told == ["b before", "a before", "a parent", "b parent", "a child", "b child"]


def test_python_keeps_one_hook_and_no_listener(hooks):
    told = []
    for number in range(1000):
        tell_after_fork(Listener(number, told))
    gc.collect()
    [(when, call)] = hooks
    call()

    assert when == "after_in_child"
    assert told == []
    assert forking._after()._references == {}


def test_a_listener_that_fails_keeps_it_from_nobody(hooks, caplog):
    told = []
    listeners = [Listener("a", told, RuntimeError("no")), Listener("b", told)]
    for listener in listeners:
        tell_after_fork(listener)
    hooks[0][1]()

    assert told == ["a child", "b child"]
    assert caplog.messages == ["Listener could not follow a fork"]
