"""What must not creep in again, counted: no test here or beside it looks at a clock.

`python -m benchmarks` tells what frames cost; this is what keeps it so, in every run of the tests.
Here are memory, requests and connections; in the other ``test_hot_path_*.py`` calls and
instructions, pixels, and what a long run asks of its database. Two more of the kind need tools of
their own: system calls and locks in tests/delivery/test_hot_path.py, round trips per credit in
tests/pipeline/limits/test_redis_ledger.py.
"""

import tracemalloc

import numpy as np
import pytest

from al_framework.api.image import Image
from al_framework_roboflow.server import Project, State, Workspace, running_server

VGA, UHD = (640, 480), (3840, 2160)
WARM_UP = 5  # the first calls import, and fill what later ones find filled
LONG_S = 60.0
FEW_BYTES = 64 * 1024  # what a frame may ask for that is not taken; one of 4K has 25 MB of pixels


def memory_of(call):
    """Return how many bytes a call asks for at most at a time, and its answer."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        answer = call()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return most - before, answer


@pytest.mark.parametrize("kind", ["jpeg", "array", "pil"])
@pytest.mark.parametrize("status", ["not_selected", "limited"])
def test_a_frame_that_is_not_taken_asks_for_little_memory(
    collecting, picture, prediction, kind, status
):
    collector = collecting(status)
    frame = picture(kind, UHD), prediction("document", UHD, 10)
    for _ in range(WARM_UP):
        collector.submit(*frame)
    most, ticket = memory_of(lambda: collector.submit(*frame))

    assert ticket.status == status
    assert most < FEW_BYTES


@pytest.mark.parametrize(
    ("kind", "owned"),
    [("jpeg", False), ("array", False), ("array", True)],
    ids=["jpeg", "array", "owned array"],
)
def test_a_frame_that_is_taken_is_copied_once_at_most(collecting, held, picture, kind, owned):
    collector, image = collecting("queued"), picture(kind, UHD)
    held.clear()
    for _ in range(WARM_UP):
        collector.submit(picture(kind, VGA), owned=owned)
    most, ticket = memory_of(lambda: collector.submit(image, owned=owned))
    copied = image.nbytes if kind == "array" and not owned else 0

    assert ticket.status == "queued"
    assert copied <= most < copied + FEW_BYTES


def test_a_file_is_read_into_no_more_memory_than_it_needs(picture, tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(picture("jpeg", VGA))
    Image(path).encoded  # noqa: B018 - the first one imports
    most, data = memory_of(lambda: Image(path).encoded)

    assert most < 2 * len(data) + FEW_BYTES


@pytest.mark.parametrize("bound", [None, 1000])
def test_a_datapoint_is_two_requests_on_connections_that_stay(collecting, prediction, bound):
    frames, workers = 24, 2
    with running_server(State(workspaces=[Workspace("ws", [Project("ds")])])) as server:
        sink = {"type": "roboflow", "project": "ds", "api_key": "key", "api_url": server.url}
        collector = collecting(
            "queued",
            max_batch_images=bound,
            sinks=[sink],
            delivery={"workers": workers},
        )
        for n in range(frames):
            image = np.full((48, 64, 3), n, dtype=np.uint8)
            assert collector.submit(image, prediction("document", (64, 48), 2)).status == "queued"
        collector.close(LONG_S)
        asked = [entry for entry in server.requests() if entry["endpoint"]]
    kinds = [entry["endpoint"] for entry in asked]

    assert sum(one.delivered for one in collector.stats().sinks.values()) == frames
    assert kinds.count("upload") == kinds.count("annotate") == frames
    # Whose project it is, and how large its batch: asked a few times a minute, not for each frame.
    assert len(kinds) - 2 * frames <= 6
    assert len({entry["client_port"] for entry in asked}) <= workers + 1
