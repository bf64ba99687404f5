"""A local server that speaks Roboflow's API, for tests and for trying things out.

From a shell::

    python -m al_framework_roboflow.server --port 8765 --project ds:object-detection

In a test::

    with running_server(State(workspaces=[Workspace("ws", [Project("ds")])])) as server:
        server.fail(endpoint="upload", status=503, times=2, headers={"Retry-After": "1"})
        ...  # a client that talks to server.url
        assert len(server.requests("upload")) == 3

The endpoints are those that were recorded (``endpoints.py``), answered in the recorded shapes.
What the recordings leave open is decided here: a second annotation of an image is answered with
409 unless it says ``overwrite=true``, and duplicates are pictures with the same bytes.
"""

from al_framework_roboflow.server.failures import Failure
from al_framework_roboflow.server.running import (
    Remote,
    RunningServer,
    ServerNotStartedError,
    SpawnedServer,
    running_server,
    spawned_server,
)
from al_framework_roboflow.server.state import (
    Annotation,
    Batch,
    Job,
    Project,
    State,
    StoredImage,
    Workspace,
    content_hash,
)

__all__ = [
    "Annotation",
    "Batch",
    "Failure",
    "Job",
    "Project",
    "Remote",
    "RunningServer",
    "ServerNotStartedError",
    "SpawnedServer",
    "State",
    "StoredImage",
    "Workspace",
    "content_hash",
    "running_server",
    "spawned_server",
]
