"""How quickly do accepted frames reach the labelling service, and what does that cost?

Frames go to the local server from `Collector.submit`, or from the peer's `register`, until the
server has picture and annotation: an array of 1080p, scaled down to 640 x 640. A call is one
frame; it is measured in rows of many, as they come in traffic. What the server lets its answers
wait stands for the way to the real one. The floor sends the same requests from as many threads,
each on one connection, and keeps nothing safe in between.
"""

import http.client
import io
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import PIL.Image
from urllib3 import encode_multipart_formdata

from al_framework import Collector
from al_framework_roboflow.server import Remote
from benchmarks import frames, peers, serving
from benchmarks.collecting import collector
from benchmarks.comparing import Case, Comparison, Cost, Side, Target, compare
from benchmarks.marking import mark

SIZE = frames.SIZES["1080p"]
SMALL = 640  # pixels of the longer side, as delivered
_FAR = 1 << 22  # numbers of the other side's pictures begin here
_PATIENCE_S = 300.0
_POLL_S = 0.01
_IN_A_ROW = 40  # frames that each worker delivers in a turn: the first ones wait for a group
_FEW = 20  # frames that the peer delivers in a turn, one after the other
_NUMBERS = itertools.count()


class Setting(NamedTuple):
    """What is delivered how.

    Attributes:
        group: Settings that are shown together.
        latency_s: What the server lets every answer wait.
        workers: Deliveries at the same time.
        bounded: Whether the labelling batch may hold only so many pictures.
        targets: What is to be reached.
    """

    group: str
    latency_s: float
    workers: int
    bounded: bool = False
    targets: Sequence[Target] = ()


def settings() -> Iterator[Setting]:
    """Yield what is measured."""
    for latency_s in (0.0, 0.05):
        group = f"{latency_s * 1000:.0f} ms latency"
        to_reach = {4: 1 / 3.5, 16: 1 / 10} if latency_s else {}
        for workers in (4, 16):
            targets = [Target(to_reach[workers], "peer", "wall")] if to_reach else []
            yield Setting(group, latency_s, workers, targets=targets)
        yield Setting(f"{group}, max_batch_images", latency_s, 16, bounded=True)


def run(*, quick: bool) -> list[Comparison]:
    """Measure with and without latency, with few and many workers, with and without a bound."""
    with ExitStack() as stack:
        server, files = stack.enter_context(serving.server()), stack.enter_context(frames.files())
        environment = {"API_BASE_URL": server.url, "LOG_LEVEL": "ERROR"}
        peer = stack.enter_context(peers.interpreter(environment=environment))
        found = []
        for setting in settings():
            server.set_latency(setting.latency_s)
            with ExitStack() as opened:
                work = {
                    "frame": files.array(SIZE),
                    "prediction": files.json("response", frames.response(SIZE)),
                    "prediction_type": frames.TASK,
                    "document": everything(bounded=setting.bounded, max_image_size=[SMALL, SMALL]),
                    "project": serving.NAME,
                    "first": _FAR,
                }
                theirs = peer.side("delivering", **work)
                case = _case(setting, server, theirs, opened, quick=quick)
                found += compare([case], quick=quick, rounds=5, block_s=0)
        found += [_cost_of_the_bound(server, latency_s, quick=quick) for latency_s in (0.0, 0.05)]
        return found


def _case(
    setting: Setting,
    server: Remote,
    theirs: Side | None,
    opened: ExitStack,
    *,
    quick: bool,
) -> Case:
    many, few = (20, 4) if quick else (_IN_A_ROW * setting.workers, _FEW)
    ours = _ours(server, opened, setting)
    return Case(
        group=setting.group,
        name=f"{setting.workers} workers",
        ours=_each(ours, many),
        peer=None if theirs is None else _each(theirs, few),
        floor=_each(_bare(server, opened, setting.workers), many),
        targets=setting.targets,
        outputs={
            "ours": _asked(server, ours, many),
            "the peer": "not run" if theirs is None else _asked(server, theirs, few),
        },
    )


def _cost_of_the_bound(server: Remote, latency_s: float, *, quick: bool) -> Comparison:
    """Measure max_batch_images against ourselves: the column of the floor is without it."""
    server.set_latency(latency_s)
    with ExitStack() as opened:
        group, many = f"{latency_s * 1000:.0f} ms latency", 20 if quick else 320
        without, with_it = (
            _ours(server, opened, Setting(group, latency_s, 16, bounded=bounded))
            for bounded in (False, True)
        )
        case = Case(
            group="what max_batch_images costs (the floor: ours without it)",
            name=f"{group}, 16 workers",
            ours=_each(with_it, many),
            floor=_each(without, many),
            targets=[Target(1.05, "floor", "wall"), Target(1.05, "floor")],
        )
        return compare([case], quick=quick, rounds=7, block_s=0)[0]


def _each(side: Side, count: int) -> Side:
    """Return a side that makes so many calls for one and tells the cost of one."""

    def calls(number: int) -> Cost:
        cost = side(number * count)
        return Cost(cpu_s=cost.cpu_s / count, wall_s=cost.wall_s / count)

    return calls


def _ours(server: Remote, opened: ExitStack, setting: Setting) -> Side:
    collecting: Collector = opened.enter_context(
        collector(
            everything(bounded=setting.bounded, max_image_size=[SMALL, SMALL]),
            sinks=[to_the_server(server)],
            delivery={"workers": setting.workers},
            handoff={"when_full": "block"},
        )
    )
    picture = frames.pixels(SIZE).copy()
    answer = frames.response(SIZE)

    def deliver(number: int) -> None:
        before = collecting.stats().sinks["server"].delivered
        for _ in range(number):
            mark(picture, next(_NUMBERS))
            ticket = collecting.submit(picture, answer)
            if ticket.status != "queued":
                raise RuntimeError(f"a frame is {ticket.status!r}: {ticket.reason!r}")
        wait_until(lambda: collecting.stats().sinks["server"].delivered >= before + number)

    return _timed(deliver)


def _bare(server: Remote, opened: ExitStack, workers: int) -> Side:
    """Return the same requests, each thread's on one connection."""
    pool = opened.enter_context(ThreadPoolExecutor(workers))
    address, local = urlsplit(server.url).netloc, threading.local()
    picture, annotation = _small_picture(), json.dumps(frames.response(SIZE)).encode()

    def post(path: str, body: bytes, content_type: str) -> dict[str, Any]:
        if not hasattr(local, "line"):
            local.line = opened.enter_context(closing(http.client.HTTPConnection(address)))
        local.line.request("POST", path, body, {"Content-Type": content_type})
        answer: dict[str, Any] = json.loads(local.line.getresponse().read())
        return answer

    def deliver(number: int) -> None:
        different = picture + number.to_bytes(8, "big")
        body, content_type = encode_multipart_formdata(
            [("name", f"{number}.jpg"), ("file", ("imageToUpload", different, "image/jpeg"))]
        )
        path, query = f"/dataset/{serving.NAME}", f"api_key=benchmark&batch={serving.NAME}"
        image = post(f"{path}/upload?{query}", body, content_type)["id"]
        query = f"api_key=benchmark&name={number}.json&prediction=true"
        post(f"{path}/annotate/{image}?{query}", annotation, "text/plain")

    def all_of_them(number: int) -> None:
        list(pool.map(deliver, itertools.islice(_NUMBERS, number)))

    return _timed(all_of_them)


def _asked(server: Remote, side: Side, number: int) -> str:
    """Return how often the server is asked for a picture, and over how many connections."""
    server.clear_requests()
    side(number)
    found = [entry for entry in server.requests() if entry["endpoint"]]
    kinds = Counter(entry["endpoint"] for entry in found)
    each = ", ".join(f"{kind} {count / number:.2f}" for kind, count in sorted(kinds.items()))
    connections = len({entry["client_port"] for entry in found})
    return f"requests for each of {number}: {each}; connections: {connections}"


def everything(*, bounded: bool = False, **others: object) -> dict[str, Any]:
    """Return an Active Learning document by which every frame is selected.

    Args:
        bounded: Whether a batch may hold only so many pictures; it is never full.
        others: What else the document says.
    """
    strategy = {"name": "everything", "type": "random", "traffic_percentage": 1.0}
    document = frames.document([strategy], **others)
    if bounded:
        document["batching_strategy"]["max_batch_images"] = 10**9
    return document


def to_the_server(server: Remote) -> dict[str, object]:
    """Return the sink that delivers to the local server, as configurations name it."""
    return {
        "type": "roboflow",
        "name": "server",
        "project": serving.NAME,
        "api_key": "benchmark",
        "api_url": server.url,
    }


def _small_picture() -> bytes:
    picture = PIL.Image.open(io.BytesIO(frames.photograph(SIZE)))
    picture.thumbnail((SMALL, SMALL))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def wait_until(done: Callable[[], bool]) -> None:
    """Wait for something that a delivery brings about.

    Raises:
        RuntimeError: It did not happen.
    """
    waits_until = time.monotonic() + _PATIENCE_S
    while not done():
        if time.monotonic() > waits_until:
            raise RuntimeError(f"the frames were not delivered within {_PATIENCE_S:g} s")
        time.sleep(_POLL_S)


def _timed(deliver: Callable[[int], object]) -> Side:
    def calls(number: int) -> Cost:
        wall, cpu = time.perf_counter(), time.process_time()
        deliver(number)
        return Cost(cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall)

    return calls
