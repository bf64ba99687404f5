"""A process that delivers until everything has ended, or until one datapoint kills it.

Usage: poison.py SPOOL LOG POISON…; prints what is left as JSON, if it lives to do so.
"""

import json
import os
import sys
from pathlib import Path

from offers import make_spool

from al_framework.api import Receipt
from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.delivery import Delivery

SINK = "s"
HANG_S = 60.0


def main(directory, log, poison):
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def serve(datapoint, checkpoint):
        os.write(descriptor, f"{datapoint.item_id}\n".encode())
        if datapoint.item_id in poison:
            os._exit(137)
        return Receipt(status="created")

    with make_spool(directory, sinks=(SINK,)) as spool:
        delivery = Delivery(spool, {SINK: serve}, clock=SystemClock(), poll_s=0.01)
        delivery.start()
        delivery.drain(HANG_S)
        delivery.close(HANG_S)
        backlog = spool.sink_table.backlog((SINK,))[SINK]
        sys.stdout.write(json.dumps({"pending": backlog.pending, "dead": backlog.dead}))


main(Path(sys.argv[1]), Path(sys.argv[2]), set(sys.argv[3:]))
