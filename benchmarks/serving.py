"""The local server that speaks Roboflow's API, in a process of its own, for both sides."""

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from al_framework_roboflow.server import (
    Batch,
    Job,
    Project,
    Remote,
    State,
    Workspace,
    running_server,
)

NAME = "benchmark"  # of the workspace, the project and the labelling batch
_START_S = 30.0


@contextmanager
def server() -> Iterator[Remote]:
    """Yield a server that holds one project, with a labelling batch and a labelling job of it.

    The job is there so that whoever asks how large the batch is has to ask for its jobs as well.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        if not here.poll(_START_S):
            raise RuntimeError(f"the server has not said its address within {_START_S:g} s")
        yield Remote(here.recv())
    finally:
        process.kill()
        process.join()


def _serve(pipe: Connection) -> None:
    batch = Batch(id="batch-1", name=NAME, num_jobs=1)
    job = Job(source_batch=f"{NAME}/batch-1", num_images=1)
    state = State(
        workspaces=[Workspace(NAME, [Project(NAME, batches=[batch], jobs=[job])])],
        keep_pictures=False,
    )
    with running_server(state) as running:
        pipe.send(running.url)
        threading.Event().wait()
