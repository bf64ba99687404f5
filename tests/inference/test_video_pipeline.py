"""A collector in a video pipeline of Inference, where nobody runs background tasks (D33)."""

import pytest

pytest.importorskip("inference")

from al_framework_roboflow.pool import CollectorPool
from al_framework_roboflow.server import Project, State, Workspace, running_server

pytestmark = [pytest.mark.inference, pytest.mark.timeout(300)]

FRAMES = 5
WORKFLOW = {
    "version": "1.0",
    "inputs": [{"type": "InferenceImage", "name": "image"}],
    "steps": [
        {"type": "al_test/model@v1", "name": "m", "image": "$inputs.image"},
        {
            "type": "ActiveLearningDataCollector",
            "name": "collect",
            "image": "$inputs.image",
            "predictions": "$steps.m.predictions",
            "target_dataset": "proj",
            "active_learning_configuration": {
                "enabled": True,
                "persist_predictions": True,
                "sampling_strategies": [
                    {"name": "all", "type": "random", "traffic_percentage": 1.0}
                ],
                "batching_strategy": {
                    "batches_name_prefix": "pfx",
                    "recreation_interval": "never",
                },
            },
        },
    ],
    "outputs": [{"type": "JsonField", "name": "status", "selector": "$steps.collect.status"}],
}


@pytest.fixture
def video(tmp_path, picture):
    import cv2

    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (200, 100))
    for seed in range(FRAMES):
        writer.write(picture(seed))
    writer.release()
    return path


def test_every_frame_of_a_video_arrives(plugins, video, tmp_path, monkeypatch):
    from inference.core.interfaces.stream.inference_pipeline import InferencePipeline

    from al_framework_roboflow.inference_plugin import shared

    seen = []
    state = State(workspaces=[Workspace("ws", [Project("proj")])], api_keys={"key": "ws"})
    with running_server(state) as server:
        pool = CollectorPool(api_url=server.url, spool_root=tmp_path / "spool")
        monkeypatch.setattr(shared, "_SHARED", shared._Shared())
        monkeypatch.setattr(shared, "new_pool", lambda: pool)
        pipeline = InferencePipeline.init_with_workflow(
            video_reference=str(video),
            workflow_specification=WORKFLOW,
            on_prediction=lambda prediction, frame: seen.append(prediction),
            api_key="key",
        )
        pipeline.start()
        pipeline.join()
        pool.close()

    assert len(seen) == FRAMES
    assert len(state.workspaces[0].projects[0].images) == FRAMES
