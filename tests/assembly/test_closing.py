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


@pytest.fixture
def started(tmp_path):
    """A started sink, and the stack that closes it."""
    mask = Mask(())
    starter = Starter(
        FakeClock(), base_dir=tmp_path, state_root=tmp_path, mask=mask, logs=LogMask(mask)
    )
    entry = ComponentEntry(
        kind="sink",
        type_name="noting",
        name="s",
        component=Noting,
        options=Options(),
        plugin="p",
    )
    stack = ExitStack()
    return starter.start(entry, stack), stack


def test_a_component_is_closed_on_a_thread_of_its_own_that_is_waited_for(started):
    sink, stack = started
    stack.close()

    assert sink.closed_on is not threading.current_thread()
    assert not sink.closed_on.is_alive()


def test_where_no_thread_can_be_started_it_is_closed_all_the_same(started, monkeypatch, caplog):
    def refuse(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    sink, stack = started
    monkeypatch.setattr(threading.Thread, "start", refuse)
    stack.close()

    assert sink.closed_on is threading.current_thread()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
