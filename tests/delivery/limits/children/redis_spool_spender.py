"""Offers groups of 16 datapoints to a spool whose limits are kept by Redis: run by path.

Usage: redis_spool_spender.py DIRECTORY NAME URL LIMIT. Every accepted datapoint is written down in
DIRECTORY/acks, after its acceptance and before the next group. Ends when a whole group is refused.
"""

import functools
import os
import sys
from pathlib import Path

from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.redis import RedisLedger
from al_framework.pipeline.spool import Candidate, Spool, SpoolLimits
from al_framework.testing import sample_datapoint

GROUP = 16


def main(directory, name, url, limit):
    log = os.open(Path(directory) / "acks", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    clock, sample = SystemClock(), sample_datapoint()
    rules = {"a": [LimitRule(period="daily", value=int(limit))]}
    spool = Spool(
        Path(directory) / "spool",
        sinks=["nowhere"],
        ledger=RedisLedger(rules, scope="s", url=url, clock=clock),
        clock=clock,
        limits=SpoolLimits(min_free_bytes=0),
    )

    def candidate(item_id):
        return Candidate(
            item_id=item_id,
            image=sample.image,
            matching=("a",),
            decided_at=clock.time(),
            batch_name="batch",
            compose=functools.partial(composed, item_id),
        )

    with spool:
        number, statuses = 0, {"accepted"}
        while statuses != {"limited"}:
            names = [f"{name}-{number + place}" for place in range(GROUP)]
            number += GROUP
            answers = spool.accept([candidate(one) for one in names])
            statuses = {answer.status for answer in answers}
            taken = [answer.item_id for answer in answers if answer.status == "accepted"]
            os.write(log, "".join(f"{one}\n" for one in taken).encode())


def composed(item_id, strategy):
    return sample_datapoint(item_id=item_id, strategy=strategy)


main(*sys.argv[1:])
