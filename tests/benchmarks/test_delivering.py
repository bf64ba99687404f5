"""What the questions about delivery do: as many pictures and requests as they say."""

import itertools
from contextlib import ExitStack

import numpy as np
import pytest

from al_framework_roboflow.server import Batch, Job, Project, State, Workspace, running_server
from benchmarks import asking, burst, delivery, serving
from benchmarks import credits as crediting
from benchmarks.limits import make_ask
from benchmarks.marking import mark, marked_jpegs

SMALL = (640, 360)


@pytest.fixture
def server(monkeypatch):
    """Yield the questions' server, in this process, and let them ask with small frames."""
    monkeypatch.setattr(delivery, "SIZE", SMALL)
    batch = Batch(id="batch-1", name=serving.NAME, num_jobs=1)
    job = Job(source_batch=f"{serving.NAME}/batch-1", num_images=1)
    project = Project(serving.NAME, batches=[batch], jobs=[job])
    state = State(workspaces=[Workspace(serving.NAME, [project])], keep_pictures=False)
    with running_server(state) as running:
        yield running


def endpoints(server):
    return sorted(entry["endpoint"] for entry in server.requests() if entry["endpoint"])


@pytest.mark.parametrize("bounded", [False, True])
def test_each_frame_of_ours_is_uploaded_and_annotated_once(server, bounded):
    with ExitStack() as opened:
        setting = delivery.Setting("g", 0.0, 2, bounded=bounded)
        cost = delivery._ours(server, opened, setting)(5)

    asked = ["annotate"] * 5 + ["upload"] * 5
    once = ["batches", "jobs", "root"] if bounded else []
    assert sorted(asked + once) == endpoints(server)
    assert cost.wall_s > 0


def test_the_floor_sends_the_same_requests_on_as_many_connections(server):
    with ExitStack() as opened:
        side = delivery._bare(server, opened, 2)
        told = delivery._asked(server, side, 6)

    assert ["annotate"] * 6 + ["upload"] * 6 == endpoints(server)
    assert told.startswith("requests for each of 6: annotate 1.00, upload 1.00; connections: ")
    assert int(told.rpartition(" ")[2]) <= 2


@pytest.mark.parametrize("ring", [{"max_items": 64}, {"when_full": "block"}])
def test_a_burst_that_fits_is_delivered_whole(server, ring):
    found = burst._ours(server, ring, 1000, 20)

    assert 20 == found.delivered == len(found.taken)


def test_no_two_pictures_are_the_same():
    picture = np.full((360, 640, 3), 128, np.uint8)
    found = marked_jpegs(picture, 7, 40)

    assert 40 == len(set(found))
    mark(picture, 5)
    assert [255, 0, 255, 0] == [picture[0, 16 * bit, 0] for bit in range(4)]


def test_threads_ask_as_often_as_they_are_told_and_no_token_comes_twice():
    tokens = []

    def asker():
        mine = itertools.count()
        return lambda token: tokens.append(token) or next(mine) % 2 == 0

    found = asking.ask_together([asker] * 4, 40)

    assert 40 == len(found["taken"]) == len(set(tokens))
    assert 20 == found["granted"]


def test_a_failure_of_a_thread_is_not_lost():
    def asker():
        return lambda token: 1 / 0

    with pytest.raises(ZeroDivisionError):
        asking.ask_together([asker], 1)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_threads_are_granted_what_there_is(tmp_path, kind):
    setting = crediting.Setting(kind, 4, 40, limit=10)
    ask = crediting._ours(setting, tmp_path, "")

    assert [10, 11] == [ask(0)["granted"], ask(1)["granted"]]
    assert make_ask(kind, str(tmp_path / "other.db"), "", 1)("token")
