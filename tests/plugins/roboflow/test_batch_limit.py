"""The limit of a batch from the server's count to the accepted picture, over real HTTP."""

import itertools
import random
from dataclasses import replace

import pytest

from al_framework.api import Target
from al_framework.pipeline.delivery import Delivery
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Candidate, Spool, SpoolLimits
from al_framework.testing import FakeClock, make_context, sample_datapoint
from al_framework_roboflow.server import Project, State, Workspace, running_server
from al_framework_roboflow.server.state import Batch, Job
from al_framework_roboflow.sink import RoboflowSink


def project(name: str) -> Project:
    held = Project(name)
    held.batches += [
        Batch(id="B1", name="batch", images=2, num_jobs=2),
        Batch(id="B2", name="batch", images=50),
    ]
    held.jobs += [
        Job(source_batch="ws/B1", num_images=3),
        Job(source_batch="ws/B12", num_images=40),
    ]
    return held


class Line:
    """A sink on a server, with the spool before it."""

    def __init__(self, directory, server):
        self.server = server
        self.clock = FakeClock()
        options = {"api_key": "k", "project": "ds", "workspace": "ws", "api_url": server.url}
        self.sink = RoboflowSink(
            RoboflowSink.Options(**options), make_context(directory, clock=self.clock)
        )
        self.spool = Spool(
            directory / "spool",
            sinks=("roboflow",),
            ledger=SqliteLedger({}, scope="ws/ds"),
            clock=self.clock,
            limits=SpoolLimits(min_free_bytes=0),
        )
        self.spool.open()
        self.delivery = Delivery(
            self.spool,
            {"roboflow": self.sink.deliver},
            clock=self.clock,
            rng=random.Random(1),
            batch_sizes={"roboflow": self.sink.batch_size},
        )
        self.numbers = itertools.count()

    def accept(self, count: int, most: int, target: Target = Target()) -> int:  # noqa: B008 - frozen
        group = [self.candidate(most, target) for _ in range(count)]
        return [answer.status for answer in self.spool.accept(group)].count("accepted")

    def candidate(self, most: int, target: Target) -> Candidate:
        datapoint = replace(sample_datapoint(next(self.numbers)), batch_name="batch", target=target)
        return Candidate(
            item_id=datapoint.item_id,
            image=datapoint.image,
            matching=("a",),
            decided_at=self.clock.time(),
            batch_name="batch",
            max_batch_images=most,
            target=target,
            compose=lambda _: datapoint,
        )

    def deliver(self) -> None:
        while self.delivery.step():
            pass
        for look in list(self.delivery._looks._running.values()):
            assert look.done.wait(30)

    def asked(self, path: str) -> int:
        return [entry["path"] for entry in self.server.requests()].count(path)

    def close(self) -> None:
        self.delivery.close(5.0)
        self.spool.close()
        self.sink.close()


@pytest.fixture
def line(tmp_path):
    state = State(workspaces=[Workspace("ws", [project("ds"), project("other")])])
    with running_server(state) as server:
        line = Line(tmp_path, server)
        yield line
        line.close()


def test_the_first_batch_of_that_name_counts_with_its_own_jobs(line):
    taken = [line.accept(3, 9) for _ in range(3)]
    line.deliver()

    assert [3, 1, 0] == taken  # two in the batch and three in its job
    assert (1, 1) == (line.asked("/ws/ds/batches"), line.asked("/ws/ds/jobs"))
    assert line.asked("/dataset/ds/upload") == 4


def test_another_project_has_a_batch_of_its_own(line):
    other = Target(project="other")

    assert (4, 4) == (line.accept(9, 9), line.accept(9, 9, other))
    assert (1, 1) == (line.asked("/ws/ds/batches"), line.asked("/ws/other/batches"))


def test_the_server_is_asked_once_a_minute_and_no_picture_too_many_comes(line):
    for _ in range(24):  # four minutes
        line.accept(2, 20)
        line.deliver()
        line.clock.advance(10)

    assert line.asked("/dataset/ds/upload") == 15
    assert line.asked("/ws/ds/batches") == 4


def test_a_server_that_fails_stops_nobody(line, caplog):
    line.server.fail(endpoint="batches", status=500, times=1)

    assert (9, 0) == (line.accept(9, 9), line.accept(1, 9))
    assert line.asked("/ws/ds/batches") == 1
    (message,) = caplog.messages
    assert message.startswith("sink 'roboflow': cannot be asked how many images the batch 'batch'")
    assert "api_key" not in message
