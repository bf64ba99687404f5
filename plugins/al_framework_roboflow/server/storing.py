"""`--store`: pictures and annotations as files, for a person to look at."""

import json
from pathlib import Path

from al_framework_roboflow.server.documents import image_document
from al_framework_roboflow.server.state import Project, StoredImage, Workspace

_EXTENSIONS = {"JPEG": "jpg"}


def store_image(
    directory: Path, workspace: Workspace, project: Project, image: StoredImage, data: bytes
) -> None:
    """Write a picture as ``WORKSPACE/PROJECT/ID.jpg`` and what is known of it as ``ID.info.json``.

    Ids are the server's own and names are checked, so nothing a client sends becomes a path.
    """
    target = directory / workspace.name / project.name
    target.mkdir(parents=True, exist_ok=True)
    extension = _EXTENSIONS.get(image.format, image.format.lower())
    (target / f"{image.id}.{extension}").write_bytes(data)
    store_info(directory, workspace, project, image)


def store_info(directory: Path, workspace: Workspace, project: Project, image: StoredImage) -> None:
    """Write what is known of a picture, and its last annotation beside it."""
    target = directory / workspace.name / project.name
    target.mkdir(parents=True, exist_ok=True)
    text = json.dumps(image_document(image), indent=2, ensure_ascii=False)
    (target / f"{image.id}.info.json").write_text(
        text + "\n", encoding="utf-8", errors="backslashreplace"
    )
    if image.annotations:
        annotation = image.annotations[-1]
        extension = "json" if annotation.name.endswith(".json") else "txt"
        path = target / f"{image.id}.annotation.{extension}"
        path.write_text(annotation.body, encoding="utf-8", errors="backslashreplace")
