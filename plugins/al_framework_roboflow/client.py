"""A small typed client of the parts of Roboflow's API that data collection needs.

Paths, the order of query parameters and bodies are those of Roboflow inference 1.8.3, as recorded;
headers are our own.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal, TypeVar

from pydantic import SecretStr
from urllib3 import encode_multipart_formdata

from al_framework_roboflow.answers import Reply, RoboflowApiError
from al_framework_roboflow.batches import Batch, Job
from al_framework_roboflow.replies import (
    UnreadableReplyError,
    UploadReply,
    is_annotation_stored,
    read_batches,
    read_image_id,
    read_jobs,
    read_project_type,
    read_upload,
    read_workspace,
)
from al_framework_roboflow.transport import Transport

__all__ = ["DEFAULT_API_URL", "RoboflowApiError", "RoboflowClient"]

DEFAULT_API_URL = "https://api.roboflow.com"
_NO_CACHE = (("nocache", "true"),)
_ResultT = TypeVar("_ResultT")


class RoboflowClient:
    """Roboflow's API as seen by one key; safe from several threads.

    Every method makes one request, at once and once: when to try again is the caller's business.

    Args:
        api_key: The key.
        api_url: Address of the API, another one for a gateway of one's own.
        timeout_s: Seconds to wait for each part of an answer.
        deadline_s: Seconds that a request may take in all.
    """

    def __init__(
        self,
        *,
        api_key: SecretStr,
        api_url: str = DEFAULT_API_URL,
        timeout_s: float = 30.0,
        deadline_s: float = 45.0,
    ) -> None:
        self._transport = Transport(
            api_key=api_key, api_url=api_url, timeout_s=timeout_s, deadline_s=deadline_s
        )
        self._workspace: str | None = None

    @property
    def known_workspace(self) -> str | None:
        """The workspace of the key, if it was asked for already."""
        return self._workspace

    def workspace(self) -> str:
        """Return the workspace that the key belongs to; asked for once.

        Again after a failure, and after something in a workspace was not found.

        Raises:
            RoboflowApiError: As for every request; `RoboflowApiError.kind` says why.
        """
        if self._workspace is None:
            reply = self._transport.send("GET", query=_NO_CACHE)
            self._workspace = _read(reply, read_workspace)
        return self._workspace

    def project_type(self, workspace: str, project: str) -> str | None:
        """Return the type of a project, or None where it has none.

        Raises:
            RoboflowApiError: The request failed.
        """
        return _read(self._get(workspace, project, query=_NO_CACHE), read_project_type)

    def active_learning(self, workspace: str, project: str) -> dict[str, Any]:
        """Return the Active Learning document of a project, as it is.

        Raises:
            RoboflowApiError: The request failed.
        """
        return dict(self._get(workspace, project, "active_learning").document())

    def batches(self, workspace: str, project: str) -> tuple[Batch, ...]:
        """Return the labelling batches of a project.

        Raises:
            RoboflowApiError: The request failed.
        """
        return _read(self._get(workspace, project, "batches"), read_batches)

    def jobs(self, workspace: str, project: str) -> tuple[Job, ...]:
        """Return the labelling jobs of a project.

        Raises:
            RoboflowApiError: The request failed.
        """
        return _read(self._get(workspace, project, "jobs"), read_jobs)

    def upload(  # noqa: PLR0913 - what the endpoint takes, keyword-only
        self,
        project: str,
        image: bytes,
        *,
        name: str,
        batch: str,
        tags: Sequence[str] = (),
        inference_id: str | None = None,
    ) -> UploadReply:
        """Upload a JPEG.

        Args:
            project: The project, in the workspace of the key.
            image: JPEG bytes.
            name: File name of the picture; keep it when trying again.
            batch: Labelling batch.
            tags: Tags, in order.
            inference_id: The request that made the prediction, or None.

        Raises:
            RoboflowApiError: The request failed, or the picture was refused (``rejected``).
        """
        query = [("batch", batch)]
        if inference_id is not None:
            query.append(("inference_id", inference_id))
        query += [("tag", tag) for tag in tags]
        # Around an empty file, which the picture is then put into without a copy of it.
        form, content_type = encode_multipart_formdata(
            [("name", name), ("file", ("imageToUpload", b"", "image/jpeg"))]
        )
        end = form.rindex(b"\r\n--")
        reply = self._transport.send(
            "POST",
            "dataset",
            project,
            "upload",
            query=query,
            body=(form[:end], image, form[end:]),
            content_type=content_type,
            accept={409},
        )
        if reply.status == 409:  # it is there already, and the answer may say under which id
            return _conflict(reply)
        result = _read(reply, read_upload)
        if result is None:
            raise reply.rejected("the picture was not taken")
        return result

    def annotate(
        self, project: str, image_id: str, body: bytes, *, name: str
    ) -> Literal["stored", "already_annotated"]:
        """Send the annotation of an uploaded picture, as a prediction.

        Args:
            project: The project of the picture.
            image_id: As in `UploadReply.image_id`.
            body: The annotation itself.
            name: The picture's name with the extension of the annotation.

        Raises:
            RoboflowApiError: The request failed, or the annotation was refused (``rejected``).
        """
        reply = self._transport.send(
            "POST",
            "dataset",
            project,
            "annotate",
            image_id,
            query=[("name", name), ("prediction", "true")],
            body=body,
            content_type="text/plain",
            accept={409},
        )
        if reply.status == 409:
            return "already_annotated"
        if not is_annotation_stored(reply.document()):
            raise reply.rejected("the annotation was not taken")
        return "stored"

    def close(self) -> None:
        """Close every connection; a request after this opens new ones."""
        self._transport.close()

    def _get(self, *path: str, query: Sequence[tuple[str, str]] = ()) -> Reply:
        """Ask for something in a workspace."""
        try:
            return self._transport.send("GET", *path, query=query)
        except RoboflowApiError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                self._workspace = None  # it may be called otherwise now: the next one asks
            raise


def _read(reply: Reply, reader: Callable[[Mapping[str, Any]], _ResultT]) -> _ResultT:
    try:
        return reader(reply.document())
    except UnreadableReplyError as exc:
        failure = reply.malformed(str(exc))
    # Outside: the reader's own error may quote an answer that repeats the key.
    raise failure


def _conflict(reply: Reply) -> UploadReply:
    try:
        image_id = _read(reply, read_image_id)
    except RoboflowApiError:
        image_id = None
    return UploadReply(image_id=image_id, duplicate=True)
