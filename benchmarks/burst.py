"""What becomes of 2,000 frames that come all at once, and how long does each hold the caller up?

JPEGs of 640 x 360, each another, all selected, delivered to the local server. Ours is asked with
its default ring, which drops what does not fit; with a ring as large as the burst; and with
``when_full: block``, where the caller waits instead, as an offline job would. The peer has a queue
of 512 in memory. What it has queued and what we have accepted differ in one thing: ours is on disk.
"""

import itertools
from collections.abc import Mapping
from contextlib import ExitStack
from http import HTTPStatus
from time import perf_counter
from typing import NamedTuple

from al_framework_roboflow.server import Remote
from benchmarks import frames, peers, serving
from benchmarks.collecting import collector
from benchmarks.delivery import everything, to_the_server, wait_until
from benchmarks.latencies import Latency, percentile
from benchmarks.marking import marked_jpegs

SIZE = (640, 360)
WORKERS = 16
_FAR = 1 << 22  # numbers of the peer's pictures begin here
_RINGS: Mapping[str, Mapping[str, object]] = {
    "default ring": {},
    "ring of 2,048": {"max_items": 2048, "max_bytes": 1 << 30},
    "block": {"when_full": "block", "block_s": 600.0},
}


class Burst(NamedTuple):
    """What came of one: seconds of each hand-over, datapoints delivered, and seconds until then."""

    taken: list[float]
    delivered: int
    wall_s: float


def run(*, quick: bool) -> list[Latency]:
    """Measure one burst of each kind, without latency and with 50 ms."""
    count, numbers = 100 if quick else 2000, itertools.count()
    with ExitStack() as stack:
        server, files = stack.enter_context(serving.server()), stack.enter_context(frames.files())
        environment = {"API_BASE_URL": server.url, "LOG_LEVEL": "CRITICAL"}
        peer = stack.enter_context(peers.interpreter(environment=environment))
        found: list[Latency] = []
        for milliseconds in (0, 50):
            server.set_latency(milliseconds / 1000)
            bursts = {
                f"ours, {name}": _ours(server, ring, next(numbers) * (count + 1), count)
                for name, ring in _RINGS.items()
            }
            if peer.there:
                bursts["the peer"] = _the_peers(server, peer, files, count)
            group = f"{count:,} JPEGs at once, {milliseconds} ms latency"
            found += _rows(group, bursts)
        return found


def _ours(server: Remote, ring: Mapping[str, object], first: int, count: int) -> Burst:
    first_of_all, *pictures = marked_jpegs(frames.pixels(SIZE).copy(), first, count + 1)
    answer, taken = frames.response(SIZE), []
    with collector(
        everything(),
        sinks=[to_the_server(server)],
        delivery={"workers": WORKERS},
        handoff=ring,
    ) as collecting:
        collecting.submit(first_of_all, answer)  # what is loaded then is no part of a burst
        wait_until(lambda: collecting.stats().sinks["server"].delivered == 1)
        start = perf_counter()
        for picture in pictures:
            begun = perf_counter()
            collecting.submit(picture, answer)
            taken.append(perf_counter() - begun)
        collecting.flush()
        accepted = collecting.stats().accepted
        wait_until(lambda: collecting.stats().sinks["server"].delivered >= accepted)
        return Burst(taken, accepted - 1, perf_counter() - start)


def _the_peers(server: Remote, peer: peers.Peer, files: frames.Files, count: int) -> Burst:
    server.clear_requests()
    found = peer.outcome(
        "bursting",
        frame=files.array(SIZE),
        prediction=files.json("response", frames.response(SIZE)),
        prediction_type=frames.TASK,
        document=everything(),
        project=serving.NAME,
        frames=count,
        first=_FAR,
    )
    delivered = sum(entry["status"] == HTTPStatus.OK for entry in server.requests("annotate"))
    return Burst(found["taken"], delivered - 1, found["wall_s"])  # but for the one before the burst


def _rows(group: str, bursts: Mapping[str, Burst]) -> list[Latency]:
    """Return them, compared with the last."""
    base = percentile(list(bursts.values())[-1].taken, 0.99)
    return [
        Latency(
            group=group,
            case=name,
            p50_us=percentile(burst.taken, 0.5) * 1e6,
            p99_us=(p99 := percentile(burst.taken, 0.99)) * 1e6,
            max_us=max(burst.taken) * 1e6,
            calls=len(burst.taken),
            ratio=base / p99,
            outputs={"delivered": f"{burst.delivered:,} in {burst.wall_s:.1f} s"},
        )
        for name, burst in bursts.items()
    ]
