"""The server that a soak's webhooks go to: it comes and goes, and knows what it holds.

It goes through its phases until it is told to be calm. What it has processed is one line of its log
for each request, whatever it answered: name, frame, digest, whether it was new, and when.
"""

import base64
import hashlib
import json
import os
import random
import threading
from collections import Counter

from al_framework.pipeline.clock import ticks
from al_framework.testing.fault_server import Answer, FaultServer

# What it does, and for how many seconds of a full soak.
PHASES = (
    ("up", 10.0),
    ("HTTP 500", 5.0),
    ("flaky", 10.0),
    ("HTTP 429", 5.0),
    ("reset", 5.0),
    ("slow", 5.0),
)
PROCESSED_ANYWAY = 0.2  # share of the requests that fail after the work was done
FLAKY = 0.1  # share of the requests that fail while it is flaky
SLOW_S = 0.5


class Receiver:
    """Takes webhooks, in threads of the process that makes it.

    Args:
        log: What was processed is written here.
        rng: Draws which requests are processed although the answer is an error.
        pace: Length of a phase, as a share of that of a full soak.

    Attributes:
        seen: Requests by phase.
    """

    def __init__(self, log, *, rng, pace):
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._rng, self._pace = rng, pace
        self._lock = threading.Lock()
        self._held = set()
        self._began = ticks()
        self._is_calm = False
        self.seen = Counter()
        self.server = FaultServer()
        self.server.otherwise = self._answer

    def calm_down(self):
        self._is_calm = True

    def phase(self):
        if self._is_calm:
            return "up"
        at = (ticks() - self._began) / self._pace % sum(length for _, length in PHASES)
        for name, length in PHASES:
            if at < length:
                return name
            at -= length
        raise AssertionError(at)

    def _answer(self, request):
        phase = self.phase()
        with self._lock:
            self.server.requests.clear()  # hours of pictures would not fit into memory
            self.seen[phase] += 1
            is_processed = self._rng.random() < PROCESSED_ANYWAY
            fails = phase != "flaky" or self._rng.random() < FLAKY
        if phase in {"up", "slow"} or not fails:
            is_new = self._store(request)
            answer = {"id": request.headers["webhook-id"], "duplicate": not is_new}
            return Answer(body=answer, delay_s=SLOW_S if phase == "slow" else 0.0)
        if phase == "HTTP 429":
            return Answer(status=429, headers={"Retry-After": "1"})
        if is_processed:
            self._store(request)
        return Answer(how="reset_unanswered") if phase == "reset" else Answer(status=500)

    def _store(self, request):
        data = json.loads(request.body)["data"]
        digest = hashlib.sha256(base64.b64decode(data["image"]["base64"])).hexdigest()
        item_id = request.headers["webhook-id"]
        line = {"item_id": item_id, "frame_id": data["frame_id"], "digest": digest, "at": ticks()}
        with self._lock:
            line["new"] = item_id not in self._held
            self._held.add(item_id)
            os.write(self._log, json.dumps(line).encode() + b"\n")
        return line["new"]


def make_receiver(log, seed, pace):
    return Receiver(log, rng=random.Random(seed), pace=pace)
