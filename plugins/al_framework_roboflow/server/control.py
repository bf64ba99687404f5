"""The control endpoints of a test: failures, latency, what was asked, and what is held.

They need no key and are never answered late or wrongly themselves.
"""

from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from al_framework_roboflow.server.documents import state_document
from al_framework_roboflow.server.exchange import ApiError, Reply, Request, json_reply
from al_framework_roboflow.server.failures import Endpoint, Failure
from al_framework_roboflow.server.state import State, StoredImage

PREFIX = "__"


class _Latency(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(ge=0, le=3600)
    endpoint: Endpoint | Literal["any"] = "any"


_T = TypeVar("_T")
_FAILURES: TypeAdapter[list[Failure]] = TypeAdapter(list[Failure])
_LATENCY = TypeAdapter(_Latency)


def is_control(request: Request) -> bool:
    """Whether a request is for a control endpoint."""
    return bool(request.segments) and request.segments[0].startswith(PREFIX)


def control(state: State, request: Request) -> Reply:
    """Answer a control request.

    Raises:
        ApiError: The endpoint, the method or the document is none of ours.
    """
    name, *rest = request.segments
    if name == "__images" and len(rest) == 1 and request.method == "GET":
        return _picture(state, rest[0])
    handlers = _HANDLERS.get(name)
    if handlers is None or rest:
        known = ", ".join(f"/{known}" for known in (*_HANDLERS, "__images/<id>"))
        raise ApiError(404, f"no such control endpoint: there are {known}")
    if request.method not in handlers:
        raise ApiError(405, f"{request.method} is not one of {', '.join(sorted(handlers))} here")
    return json_reply(handlers[request.method](state, request))


def _validated(adapter: TypeAdapter[_T], what: str, document: object) -> _T:
    try:
        return adapter.validate_python(document)
    except ValidationError as exc:
        faults = [
            f"{'.'.join(map(str, error['loc'])) or what}: {error['msg']}"
            for error in exc.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise ApiError(400, f"{what}: {'; '.join(faults)}") from exc


def _add_failures(state: State, request: Request) -> object:
    document = request.json()
    rules = document if isinstance(document, list) else [document]
    state.failures.add(*_validated(_FAILURES, "failures", rules))
    return _list_failures(state, request)


def _list_failures(state: State, _request: Request) -> object:
    pending = state.failures.pending()
    return {"failures": [{**f.model_dump(mode="json"), "used": used} for f, used in pending]}


def _clear_failures(state: State, request: Request) -> object:
    state.failures.clear()
    return _list_failures(state, request)


def _set_latency(state: State, request: Request) -> object:
    latency = _validated(_LATENCY, "latency", request.json())
    state.failures.set_latency(latency.seconds, latency.endpoint)
    return _get_latency(state, request)


def _get_latency(state: State, _request: Request) -> object:
    return {"latency": state.failures.latencies()}


def _list_requests(state: State, _request: Request) -> object:
    return {"requests": state.requests.documents()}


def _clear_requests(state: State, request: Request) -> object:
    state.requests.clear()
    return _list_requests(state, request)


def _get_state(state: State, _request: Request) -> object:
    return state_document(state)


def _picture(state: State, image_id: str) -> Reply:
    image = _find(state, image_id)
    if image is None:
        raise ApiError(404, f"there is no image {image_id!r}")
    if image.data is None:
        raise ApiError(404, f"the bytes of image {image_id!r} were not kept")
    return Reply(body=image.data, content_type=f"image/{image.format.lower()}")


def _find(state: State, image_id: str) -> StoredImage | None:
    with state.lock:
        for workspace in state.workspaces:
            for project in workspace.projects:
                if image_id in project.images:
                    return project.images[image_id]
    return None


_Handler = Callable[[State, Request], object]
_HANDLERS: Mapping[str, Mapping[str, _Handler]] = {
    "__failures": {"GET": _list_failures, "POST": _add_failures, "DELETE": _clear_failures},
    "__latency": {"GET": _get_latency, "POST": _set_latency},
    "__requests": {"GET": _list_requests, "DELETE": _clear_requests},
    "__state": {"GET": _get_state},
}
