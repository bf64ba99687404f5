"""The sink `roboflow`: upload the picture, then send its annotation.

What has been done is kept in the checkpoint: a picture that is there is not uploaded again when its
annotation has to be sent again (D14). A duplicate gets its annotation as well, under the id that
the server names.
"""

from typing import Literal, cast
from urllib.parse import quote, urlsplit

from al_framework.api import (
    Checkpoint,
    Context,
    Datapoint,
    PermanentSinkError,
    Receipt,
    Sink,
    SinkError,
    Target,
    TransientSinkError,
)
from al_framework.api.http import MAX_ODD_ANSWERS, sink_error
from al_framework_roboflow.annotation import (
    Annotation,
    AnnotationError,
    NoFormError,
    annotation_for,
)
from al_framework_roboflow.batches import batch_images, find_batch
from al_framework_roboflow.client import DEFAULT_API_URL, RoboflowApiError
from al_framework_roboflow.connection import ConnectionOptions

_APP_URL = "https://app.roboflow.com"
# An uploaded picture may take this long until it can be annotated.
_SETTLING_S = 120.0


class RoboflowSinkOptions(ConnectionOptions):
    """Options of the sink `roboflow`."""


class RoboflowSink(Sink[RoboflowSinkOptions]):
    """Deliver to a Roboflow project, into its labelling batches."""

    type_name = "roboflow"

    def __init__(self, options: RoboflowSinkOptions, context: Context) -> None:
        super().__init__(options, context)
        self._client = options.connect()
        self._left_out: set[str] = set()

    @property
    def location(self) -> str | None:
        """The project's web address, once its workspace is known."""
        workspace = self.options.workspace or self._client.known_workspace
        if workspace is None:
            return None
        own = self.options.api_url
        base = _APP_URL if urlsplit(own).hostname == urlsplit(DEFAULT_API_URL).hostname else own
        return f"{base}/{quote(workspace, safe='')}/{quote(self.options.project, safe='')}"

    @property
    def target(self) -> Target:
        """Workspace, where the options name it, and project."""
        return Target(workspace=self.options.workspace, project=self.options.project)

    def deliver(self, datapoint: Datapoint, checkpoint: Checkpoint) -> Receipt:
        """Upload the picture, unless an earlier attempt has, and send its annotation.

        Raises:
            TransientSinkError: The server cannot be reached, failed, or has no time.
            PermanentSinkError: The server refuses the picture or its annotation for good, or the
                prediction cannot be written as an annotation.
            SinkPausedError: The key, its plan, the project or the address is at fault.
        """
        annotation = self._annotation(datapoint)
        try:
            return self._deliver(datapoint, annotation, checkpoint)
        except RoboflowApiError as exc:
            error = sink_error(exc, who=self._who(datapoint), checkpoint=checkpoint)
            raise error from exc

    def batch_size(self, batch_name: str, target: Target) -> int:
        """Return how many pictures the batch and its labelling jobs hold; 0 if there is none.

        Raises:
            RoboflowApiError: An answer is missing or cannot be read.
            UncountableBatchError: An answer lacks a number that is needed.
        """
        workspace = target.workspace or self.options.workspace or self._client.workspace()
        project = target.project or self.options.project
        batches = self._client.batches(workspace, project)
        batch = find_batch(batches, batch_name)
        has_jobs = batch is not None and batch.has_jobs
        jobs = self._client.jobs(workspace, project) if has_jobs else ()
        return batch_images(batches, jobs, batch_name) or 0

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _annotation(self, datapoint: Datapoint) -> Annotation | None:
        # Before anything is sent: what cannot be written must not leave a bare picture behind.
        try:
            return annotation_for(datapoint)
        except NoFormError as exc:
            kind = datapoint.prediction.prediction_type if datapoint.prediction else ""
            if kind not in self._left_out:
                self._left_out.add(kind)
                self.context.logger.warning(
                    "sink %r: %s, so such pictures go without annotation", self.context.name, exc
                )
            return None
        except AnnotationError as exc:
            raise PermanentSinkError(f"{self._who(datapoint)}: {exc}") from exc

    def _deliver(
        self, datapoint: Datapoint, annotation: Annotation | None, checkpoint: Checkpoint
    ) -> Receipt:
        image_id = checkpoint.state.get("image_id") or self._upload(
            datapoint, annotation, checkpoint
        )
        status = cast("Literal['created', 'duplicate']", checkpoint.state["status"])
        if image_id is None:
            return Receipt(status=status)
        if annotation is not None:
            self._annotate(datapoint, annotation, image_id, checkpoint)
        return Receipt(status=status, remote_id=image_id)

    def _upload(
        self, datapoint: Datapoint, annotation: Annotation | None, checkpoint: Checkpoint
    ) -> str | None:
        reply = self._client.upload(
            self._project(datapoint),
            datapoint.image,
            name=f"{datapoint.item_id}.jpg",
            batch=datapoint.batch_name,
            tags=datapoint.tags,
            inference_id=datapoint.inference_id,
        )
        # What an earlier attempt of ours stored is no duplicate when we send it again.
        status = checkpoint.state.get("status") or ("duplicate" if reply.duplicate else "created")
        if reply.image_id is not None:
            now = repr(self.context.clock.time())
            checkpoint.save(image_id=reply.image_id, status=status, uploaded_at=now)
            return reply.image_id
        attempts = int(checkpoint.state.get("nameless", "0")) + 1
        checkpoint.save(status=status, nameless=str(attempts))
        if annotation is None:
            return None
        if not reply.duplicate and attempts < MAX_ODD_ANSWERS:
            raise TransientSinkError(
                f"{self._who(datapoint)}: the server took the picture without naming its id: "
                "the picture is sent again to learn it"
            )
        self.context.logger.warning(
            "%s: the server holds the picture without naming its id: its annotation is not sent",
            self._who(datapoint),
        )
        return None

    def _annotate(
        self, datapoint: Datapoint, annotation: Annotation, image_id: str, checkpoint: Checkpoint
    ) -> None:
        project = self._project(datapoint)
        name = f"{datapoint.item_id}.{annotation.extension}"
        try:
            self._client.annotate(project, image_id, annotation.body, name=name)
        except RoboflowApiError as exc:
            if exc.status != 404:
                raise
            raise self._not_there(exc, datapoint, checkpoint) from exc

    def _not_there(
        self, exc: RoboflowApiError, datapoint: Datapoint, checkpoint: Checkpoint
    ) -> SinkError:
        """Return the error for a picture that cannot be found right after its upload."""
        who = self._who(datapoint)
        age_s = self.context.clock.time() - float(checkpoint.state["uploaded_at"])
        if age_s < _SETTLING_S:
            return TransientSinkError(f"{who}: the picture is not there yet: {exc}")
        if "sent_again" in checkpoint.state:
            return PermanentSinkError(f"{who}: the picture is gone a second time: {exc}")
        checkpoint.save(image_id="", sent_again="yes")
        return TransientSinkError(f"{who}: the picture is gone, so it is sent again: {exc}")

    def _project(self, datapoint: Datapoint) -> str:
        return datapoint.target.project or self.options.project

    def _who(self, datapoint: Datapoint) -> str:
        return f"sink {self.context.name!r}: datapoint {datapoint.item_id!r}"
