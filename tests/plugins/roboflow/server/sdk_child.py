"""Drive the official SDK, in an environment of its own; the last line printed is what it saw."""

import json
import sys
from pathlib import Path

import roboflow


def main(directory: Path) -> dict[str, object]:
    seen: dict[str, object] = {"version": roboflow.__version__}
    workspace = roboflow.Roboflow(api_key="good-key").workspace()
    seen["projects"] = workspace.projects()
    project = workspace.project("ds")
    seen["type"] = project.type
    arguments = {
        "image_path": str(directory / "picture.jpg"),
        "annotation_path": str(directory / "annotation.json"),
        "batch_name": "pre+fix/ż",
        "tag_names": ["a b", "t&u"],
        "is_prediction": True,
        "metadata": {"camera": "1"},
    }
    seen["first"] = project.upload(**arguments)
    seen["duplicate"] = project.upload(**arguments)
    seen["overwritten"] = project.single_upload(
        image_path=arguments["image_path"],
        annotation_path=arguments["annotation_path"],
        annotation_labelmap={"0": "cat"},
        annotation_overwrite=True,
    )
    seen["plain"] = project.upload(str(directory / "other.png"), num_retry_uploads=2)
    batches = project.get_batches()
    seen["batches"] = batches
    project.create_annotation_job(
        name="job",
        batch_id=batches["batches"][0]["id"],
        num_images=1,
        labeler_email="a@example.org",
        reviewer_email="b@example.org",
    )
    seen["jobs"] = project.get_annotation_jobs()
    labels = workspace.project("cls")
    seen["class"] = labels.upload(str(directory / "picture.jpg"), "żółw")
    try:
        roboflow.Roboflow(api_key="bad-key").workspace()
    except Exception as exc:  # noqa: BLE001 - whatever the SDK makes of it is what is looked at
        seen["bad_key"] = f"{type(exc).__name__}: {exc}"
    return seen


if __name__ == "__main__":
    result = main(Path(sys.argv[1]))
    sys.stdout.write("\n" + json.dumps(result) + "\n")
