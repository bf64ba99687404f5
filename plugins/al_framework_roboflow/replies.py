"""Read what Roboflow's API answers, at the border.

Source: the replies that Roboflow inference 1.8.3 reads; whatever else they hold is ignored.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from al_framework_roboflow.batches import Batch, Job

_WORKSPACE = re.compile(r"[A-Za-z0-9_-]{1,200}")
_PROJECT_TYPE = re.compile(r"[A-Za-z0-9 _-]{0,100}")
# What fits into an address, a checkpoint and a message; two dots would move the address elsewhere.
_IMAGE_ID = re.compile(r"(?!\.{1,2}$)[!-~]{1,200}")
_EntryT = TypeVar("_EntryT", bound=BaseModel)


class UnreadableReplyError(ValueError):
    """An answer does not say what it should; the text says what it holds instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadReply:
    """What became of an uploaded picture.

    Attributes:
        image_id: Names the picture at Roboflow; None where the answer does not tell.
        duplicate: Whether the project held the picture already; `image_id` is then that one's.
    """

    image_id: str | None
    duplicate: bool


def read_workspace(document: Mapping[str, Any]) -> str:
    """Return the workspace that a key belongs to."""
    workspace = document.get("workspace")
    if not isinstance(workspace, str) or not _WORKSPACE.fullmatch(workspace):
        raise UnreadableReplyError(f"the workspace {workspace!r}")
    return workspace


def read_project_type(document: Mapping[str, Any]) -> str | None:
    """Return a project's type, or None where it has none."""
    project = document.get("project")
    if not isinstance(project, Mapping):
        raise UnreadableReplyError("no project")
    kind = project.get("type")
    if kind is None:
        return None
    if not isinstance(kind, str) or not _PROJECT_TYPE.fullmatch(kind):
        raise UnreadableReplyError(f"the project type {kind!r}")
    return kind


def read_batches(document: Mapping[str, Any]) -> tuple[Batch, ...]:
    """Return the labelling batches."""
    return _entries(document, "batches", Batch)


def read_jobs(document: Mapping[str, Any]) -> tuple[Job, ...]:
    """Return the labelling jobs."""
    return _entries(document, "jobs", Job)


def read_upload(document: Mapping[str, Any]) -> UploadReply | None:
    """Return what became of a picture; None if it was refused.

    A duplicate may be a success as well, and is a duplicate then.
    """
    duplicate = bool(document.get("duplicate"))
    if not duplicate and not document.get("success"):
        return None
    return UploadReply(image_id=read_image_id(document), duplicate=duplicate)


def read_image_id(document: Mapping[str, Any]) -> str | None:
    """Return the id of a picture, or None where there is none."""
    image_id = document.get("id")
    if isinstance(image_id, int) and not isinstance(image_id, bool):
        image_id = str(image_id)
    if not isinstance(image_id, str) or not image_id:
        return None
    if not _IMAGE_ID.fullmatch(image_id):
        raise UnreadableReplyError(f"the id {image_id!r}")
    return image_id


def is_annotation_stored(document: Mapping[str, Any]) -> bool:
    """Tell whether an annotation was taken: a success that names no error."""
    return bool(document.get("success")) and "error" not in document


def _entries(document: Mapping[str, Any], key: str, entry: type[_EntryT]) -> tuple[_EntryT, ...]:
    entries = document.get(key)
    if not isinstance(entries, list):
        raise UnreadableReplyError(f"no list of {key}")
    try:
        return tuple(entry.model_validate(values) for values in entries)
    except ValidationError as exc:
        fault = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise UnreadableReplyError(f"{key} with a strange {place} ({fault['msg']})") from None
