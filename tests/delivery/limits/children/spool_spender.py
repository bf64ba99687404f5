"""Offers datapoints to a spool whose ledger lets `LIMIT` of them pass: run by path.

Usage: spool_spender.py DIRECTORY NAME ATTEMPTS LIMIT. Every accepted datapoint is written down in
DIRECTORY/acks, after its acceptance and before the next one.
"""

import os
import random
import sys
from pathlib import Path

from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Candidate, Spool, SpoolLimits
from al_framework.testing import sample_datapoint

DAY = 1_699_920_000.0


def main(directory: str, name: str, attempts: str, limit: str) -> None:
    rng = random.Random(name)
    sample = sample_datapoint()
    log = os.open(Path(directory) / "acks", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    rules = {"a": [LimitRule(period="daily", value=int(limit))]}
    spool = Spool(
        Path(directory) / "spool",
        sinks=["nowhere"],
        ledger=SqliteLedger(rules, scope="s"),
        clock=SystemClock(),
        limits=SpoolLimits(min_free_bytes=0),
    )
    with spool:
        number = 0
        while number < int(attempts):
            size = rng.randint(1, 4)
            group = [
                Candidate(
                    item_id=f"{name}-{number + index}",
                    image=sample.image,
                    matching=("a",),
                    decided_at=DAY,
                    batch_name="batch",
                    compose=_composer(f"{name}-{number + index}"),
                )
                for index in range(size)
            ]
            number += size
            for answer in spool.accept(group):
                if answer.status == "accepted":
                    os.write(log, f"{answer.item_id}\n".encode())


def _composer(item_id: str):
    return lambda strategy: sample_datapoint(item_id=item_id, strategy=strategy)


main(*sys.argv[1:])
