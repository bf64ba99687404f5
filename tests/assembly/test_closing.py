import logging
import threading
from contextlib import ExitStack

import pytest

from al_framework.api import Options, Receipt, Sink
from al_framework.assembly.log_masking import LogMask
from al_framework.assembly.masking import Mask
from al_framework.assembly.starting import Starter
from al_framework.config.models import ComponentEntry
from al_framework.testing import FakeClock


class Noting(Sink):
    type_name = "noting"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")

    def close(self):
        self.closed_on = threading.current_thread()


class Hanging(Noting):
    """Closes when it is let go."""

    def __init__(self, options, context):
        super().__init__(options, context)
        self.let_go = threading.Event()

    def close(self):
        super().close()
        self.let_go.wait(60.0)


@pytest.fixture
def stack():
    return ExitStack()


@pytest.fixture
def start(tmp_path, stack):
    """A function that starts sinks, to be closed by the stack."""
    mask = Mask(())
    starter = Starter(
        FakeClock(), base_dir=tmp_path, state_root=tmp_path, mask=mask, logs=LogMask(mask)
    )

    def start(component, name="s"):
        entry = ComponentEntry(
            kind="sink",
            type_name="noting",
            name=name,
            component=component,
            options=Options(),
            plugin="p",
        )
        return starter.start(entry, stack)

    return start


def test_a_component_is_closed_on_a_thread_of_its_own_that_is_waited_for(start, stack):
    sink = start(Noting)
    stack.close()

    assert sink.closed_on is not threading.current_thread()
    assert not sink.closed_on.is_alive()


def test_where_no_thread_can_be_started_it_is_closed_all_the_same(
    start, stack, monkeypatch, caplog
):
    def refuse(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    sink = start(Noting)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    stack.close()

    assert sink.closed_on is threading.current_thread()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_once_one_has_hung_the_others_get_less_time(start, stack, monkeypatch, caplog):
    monkeypatch.setattr("al_framework.assembly.starting.NEXT_CLOSE_S", 0.01)
    monkeypatch.setattr("al_framework.assembly.starting.CLOSE_S", 0.1)
    sinks = [start(Hanging, name) for name in "ab"]
    stack.close()

    left = "has not closed within %s and is left behind: repair or update the plugin"
    assert [record.getMessage() for record in caplog.records] == [
        f"sink 'b' (plugin 'p') {left % '0.1 s'}",
        f"sink 'a' (plugin 'p') {left % '0.01 s'}",
    ]
    for sink in sinks:
        sink.let_go.set()
        sink.closed_on.join(60.0)
        assert not sink.closed_on.is_alive()
