"""One accept and one delivery between marks, for a tracer. Usage: order.py DIRECTORY."""

import os
import sys
from pathlib import Path

from logged_sink import LoggedSink
from offers import SINK, AckLog, accept, make_spool

from al_framework.pipeline.delivery import Delivery
from al_framework.testing import FakeClock


def mark(name):
    """Leave a mark in the trace: a path that does not exist."""
    Path(f"/mark/{name}").exists()
    os.access(f"/mark/{name}", os.F_OK)


def main(directory):
    """Accept twice, so that the second finds everything made, and deliver it."""
    directory = Path(directory)
    log, sink = AckLog(directory / "acks"), LoggedSink(directory / "remote.log")
    clock = FakeClock()  # no new hour may begin in between, which has a directory of its own
    with make_spool(directory / "spool", clock=clock) as spool:
        delivery = Delivery(spool, {SINK: sink}, clock=clock)
        accept(spool, log, ["first"], 5000)
        delivery.step()
        mark("accept")
        accept(spool, log, ["second"], 5000)
        mark("deliver")
        delivery.step()
        mark("end")
        delivery.close(1.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
