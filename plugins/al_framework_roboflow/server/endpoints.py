"""The endpoints A to G that were recorded, and the few more that the official SDK calls.

Letters are those of the project's notes on the traffic: A the key's workspace, B the project,
C its Active Learning document, D batches, E jobs, F upload, G annotate.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PIL import Image

from al_framework_roboflow.server.documents import (
    ALREADY_ANNOTATED,
    Document,
    batch_document,
    job_document,
    project_document,
    workspace_document,
)
from al_framework_roboflow.server.exchange import (
    API_KEY,
    ApiError,
    Reply,
    Request,
    json_reply,
    parse_json,
)
from al_framework_roboflow.server.failures import Endpoint
from al_framework_roboflow.server.multipart import MultipartError
from al_framework_roboflow.server.state import (
    Annotation,
    Job,
    Project,
    State,
    StoredImage,
    Workspace,
    content_hash,
)
from al_framework_roboflow.server.storing import store_image, store_info

DEFAULT_BATCH = "Pip Package Upload"  # Source: roboflow 1.7.3, config.py, DEFAULT_BATCH_NAME
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which endpoint a path belongs to, and what the path names."""

    endpoint: Endpoint
    workspace: str = ""
    project: str = ""
    image: str = ""


def route(segments: tuple[str, ...]) -> Route | None:  # noqa: PLR0911 - one return for each path
    """Find the endpoint of a path; None when it belongs to none."""
    match segments:
        case ():
            return Route(endpoint="root")
        case ("dataset", project, "upload"):
            return Route(endpoint="upload", project=project)
        case ("dataset", project, "annotate", image):
            return Route(endpoint="annotate", project=project, image=image)
        case (workspace,):
            return Route(endpoint="workspace", workspace=workspace)
        case (workspace, project):
            return Route(endpoint="project", workspace=workspace, project=project)
        case (workspace, project, "active_learning" | "batches" | "jobs" as endpoint):
            return Route(endpoint=endpoint, workspace=workspace, project=project)
        case _:
            return None


def answer(state: State, request: Request, found: Route | None) -> Reply:
    """Answer a request as Roboflow does.

    Raises:
        ApiError: It is to be answered with an error.
    """
    if found is None:
        raise ApiError(404, f"no such endpoint: {'/' + '/'.join(request.segments)!r}")
    handlers = _HANDLERS[found.endpoint]
    if request.method not in handlers:
        raise ApiError(405, f"{request.method} is not one of {', '.join(sorted(handlers))} here")
    return json_reply(handlers[request.method](state, request, found))


def _root(state: State, request: Request, _found: Route) -> Document:
    workspace = state.workspace_of(request.first(API_KEY)).name
    if request.method == "GET":
        return {"workspace": workspace}
    return {"workspace": workspace, "welcome": "", "instructions": ""}


def _workspace(state: State, request: Request, found: Route) -> Document:
    workspace = state.workspace(found.workspace, request.first(API_KEY))
    with state.lock:
        return {"workspace": workspace_document(workspace, state.started_at)}


def _project(state: State, request: Request, found: Route) -> Document:
    workspace, project = _named(state, request, found)
    with state.lock:
        return {
            "workspace": {"name": workspace.name, "url": workspace.name},
            "project": project_document(workspace, project, state.started_at),
            "versions": [],
        }


def _get_configuration(state: State, request: Request, found: Route) -> Document:
    _, project = _named(state, request, found)
    if project.configuration is None:
        raise ApiError(404, f"project {project.name!r} has no active learning configuration")
    return dict(project.configuration)


def _set_configuration(state: State, request: Request, found: Route) -> Document:
    _, project = _named(state, request, found)
    match request.json():
        case {"config": {**configuration}}:
            project.configuration = {str(key): value for key, value in configuration.items()}
        case _:
            raise ApiError(400, 'the body has no configuration: send {"config": {…}}')
    return {"success": True}


def _batches(state: State, request: Request, found: Route) -> Document:
    _, project = _named(state, request, found)
    with state.lock:
        return {"batches": [batch_document(batch) for batch in project.batches]}


def _jobs(state: State, request: Request, found: Route) -> Document:
    _, project = _named(state, request, found)
    with state.lock:
        return {"jobs": [job_document(job) for job in project.jobs]}


def _create_job(state: State, request: Request, found: Route) -> Document:
    """Move images of a batch into a job, as the SDK's create_annotation_job does."""
    _, project = _named(state, request, found)
    match request.json():
        case {"batch": str(batch_id), **rest}:
            wanted = rest.get("num_images")
        case _:
            raise ApiError(400, 'the body names no batch: send {"batch": "<batch id>", …}')
    if wanted is not None and (type(wanted) is not int or wanted < 1):
        raise ApiError(400, f"num_images {wanted!r}: it is a whole number from 1, or null for all")
    with state.lock:
        batch = next((batch for batch in project.batches if batch.id == batch_id), None)
        if batch is None:
            raise ApiError(404, f"project {project.name!r} has no batch {batch_id!r}")
        moved = batch.images if wanted is None else min(wanted, batch.images)
        batch.images -= moved
        batch.num_jobs += 1
        job = Job(source_batch=f"{project.name}/{batch.id}", num_images=moved)
        project.jobs.append(job)
        return {"success": True, **job_document(job)}


def _upload(state: State, request: Request, found: Route) -> Document:
    workspace, project = state.dataset(found.project, request.first(API_KEY))
    file = request.part("file")
    if file is None:
        raise ApiError(400, "the form has no part 'file': send the picture in it")
    picture_format, size = _inspect(file.data)
    batch = request.first("batch") or DEFAULT_BATCH
    metadata = _text_part(request, "metadata")
    image = StoredImage(
        id=state.new_id(),
        name=_text_part(request, "name") or file.filename or "",
        data=file.data if state.keep_pictures else None,
        sha256=content_hash(file.data),
        length=len(file.data),
        format=picture_format,
        size=size,
        batch=batch,
        tags=request.all("tag"),
        split=_text_part(request, "split") or "train",
        inference_id=request.first("inference_id") or None,
        metadata=parse_json(metadata, "part 'metadata'") if metadata else None,
    )
    earlier = state.add_image(project, image, batch)
    if earlier is not None:
        return {"duplicate": True, "id": earlier.id}
    if state.store is not None:
        store_image(state.store, workspace, project, image, file.data)
    return {"success": True, "id": image.id}


def _annotate(state: State, request: Request, found: Route) -> Document:
    workspace, project = state.dataset(found.project, request.first(API_KEY))
    name = request.first("name")
    if not name:
        raise ApiError(400, "an annotation needs a name: add name=… to the query")
    body, labelmap = _annotation_body(request)
    if name.endswith(".json"):
        parse_json(body, f"annotation {name!r}")
    annotation = Annotation(
        name=name,
        body=body,
        prediction=request.first("prediction") == "true",
        job_name=request.first("jobName"),
        labelmap=labelmap,
    )
    with state.lock:
        image = project.image(found.image)
        if image.annotations and request.first("overwrite") != "true":
            raise ApiError(409, "already annotated", ALREADY_ANNOTATED)
        image.annotations.append(annotation)
        if state.store is not None:
            store_info(state.store, workspace, project, image)
    return {"success": True}


def _named(state: State, request: Request, found: Route) -> tuple[Workspace, Project]:
    workspace = state.workspace(found.workspace, request.first(API_KEY))
    project = workspace.project(found.project)
    if project is None:
        raise ApiError(404, f"workspace {workspace.name!r} has no project {found.project!r}")
    return workspace, project


def _inspect(data: bytes) -> tuple[str, tuple[int, int]]:
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            return picture.format or "", picture.size
    except Exception as exc:  # Pillow's readers raise anything for a damaged header
        raise ApiError(400, f"part 'file' is no picture in one of {', '.join(_FORMATS)}") from exc


def _text_part(request: Request, name: str) -> str:
    part = request.part(name)
    try:
        return "" if part is None else part.text()
    except MultipartError as exc:
        raise ApiError(400, str(exc)) from exc


def _annotation_body(request: Request) -> tuple[str, Mapping[str, object] | None]:
    """Read both forms: the raw annotation, and the SDK's envelope, which is JSON."""
    if request.media_type != "application/json":
        return request.text(), None
    match request.json():
        case {"annotationFile": str(text), **rest}:
            labelmap = rest.get("labelmap")
        case _:
            raise ApiError(400, 'the body has no annotation: send {"annotationFile": "…"}')
    if labelmap is not None and not isinstance(labelmap, dict):
        raise ApiError(400, "labelmap: it is an object or null")
    return text, labelmap


_Handler = Callable[[State, Request, Route], Document]
_HANDLERS: Mapping[Endpoint, Mapping[str, _Handler]] = {
    "root": {"GET": _root, "POST": _root},
    "workspace": {"GET": _workspace},
    "project": {"GET": _project},
    "active_learning": {"GET": _get_configuration, "POST": _set_configuration},
    "batches": {"GET": _batches},
    "jobs": {"GET": _jobs, "POST": _create_job},
    "upload": {"POST": _upload},
    "annotate": {"POST": _annotate},
}
