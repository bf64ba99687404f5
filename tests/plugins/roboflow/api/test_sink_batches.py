"""The sink counts a batch with its jobs and says where it stores."""

import pytest

from al_framework.api import Target
from al_framework_roboflow.batches import UncountableBatchError
from al_framework_roboflow.client import RoboflowApiError

BATCH = {"name": "b", "id": "b1", "images": 2, "numJobs": 1}


def test_a_batch_is_counted_with_its_jobs(server, sink):
    server.say({"workspace": "ws"})
    server.say({"batches": [BATCH]})
    server.say({"jobs": [{"sourceBatch": "x/b1", "numImages": 3}]})
    server.say({"batches": []})

    assert [sink.batch_size("b", Target()) for _ in range(2)] == [5, 0]
    assert [request.path for request in server.requests] == [
        "/",
        "/ws/ds/batches",
        "/ws/ds/jobs",
        "/ws/ds/batches",
    ]


def test_jobs_are_asked_for_only_where_there_are_some(server, make):
    server.always({"batches": [{**BATCH, "numJobs": 0}]})

    assert make(workspace="w").batch_size("b", Target()) == 2
    assert server.requests[0].path == "/w/ds/batches"
    assert server.calls == "D"


def test_a_batch_of_another_target_is_counted_there(server, make):
    server.always({"batches": []})

    make(workspace="w").batch_size("b", Target(workspace="ws2", project="ds2"))

    assert server.requests[0].path == "/ws2/ds2/batches"


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_batch_that_cannot_be_asked_for_is_an_error(server, make, status):
    server.say({}, status=status)

    with pytest.raises(RoboflowApiError, match=f"batches: the answer is {status}"):
        make(workspace="w").batch_size("b", Target())


def test_a_batch_that_cannot_be_counted_is_an_error(server, make):
    server.say({"batches": [{"name": "b", "images": 2}]})

    with pytest.raises(UncountableBatchError, match="numJobs of the batch 'b' is missing"):
        make(workspace="w").batch_size("b", Target())


def test_the_target_is_what_the_options_name_and_nothing_is_asked(server, make):
    assert make().target == Target(project="ds")
    assert make(workspace="w").target == Target(workspace="w", project="ds")
    assert server.requests == []


def test_the_location_is_a_web_address_once_the_workspace_is_known(server, make, sink):
    assert make(workspace="w", api_url="https://api.roboflow.com/").location == (
        "https://app.roboflow.com/w/ds"
    )
    assert sink.location is None
    server.say({"workspace": "ws"})
    server.say({"batches": []})
    sink.batch_size("b", Target())

    assert f"{server.url}/ws/ds" == sink.location
