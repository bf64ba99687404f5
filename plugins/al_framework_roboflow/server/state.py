"""What the server knows: workspaces, projects, batches, jobs, pictures and their annotations."""

import hashlib
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from al_framework_roboflow.server.exchange import ApiError
from al_framework_roboflow.server.failures import Failures
from al_framework_roboflow.server.requestlog import RequestLog

MIB = 1 << 20
_NAME = re.compile(r"(?!__)[A-Za-z0-9_-]+")


@dataclass(slots=True, kw_only=True)
class Batch:
    """A labelling batch. Images that went into a job are counted there and no longer here."""

    id: str
    name: str
    images: int = 0
    num_jobs: int = 0


@dataclass(slots=True, kw_only=True)
class Job:
    """A labelling job, with as many images as were assigned from its batch."""

    source_batch: str | Sequence[str]
    num_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What was sent for a picture, as text and undecoded."""

    name: str
    body: str
    prediction: bool = False
    job_name: str = ""
    labelmap: Mapping[str, object] | None = None


@dataclass(slots=True, kw_only=True)
class StoredImage:
    """A picture that was uploaded.

    Attributes:
        data: Its bytes as they came, or None when the server does not keep them.
        annotations: Every annotation accepted for it, oldest first; the last one counts.
    """

    id: str
    name: str
    data: bytes | None = field(default=None, repr=False)
    sha256: str
    length: int = 0
    format: str = ""
    size: tuple[int, int] = (0, 0)
    batch: str = ""
    tags: Sequence[str] = ()
    split: str = "train"
    inference_id: str | None = None
    metadata: object = None
    annotations: list[Annotation] = field(default_factory=list)


@dataclass(slots=True)
class Project:
    """A dataset.

    Attributes:
        name: Its id in addresses.
        type: Its type; None leaves it out of the reply, which was recorded too.
        configuration: The Active Learning document; None is answered with 404.
    """

    name: str
    type: str | None = "object-detection"
    _: KW_ONLY
    configuration: Mapping[str, object] | None = None
    batches: list[Batch] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    images: dict[str, StoredImage] = field(default_factory=dict)
    by_content: dict[str, StoredImage] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        _check_name("project", self.name)
        for image in self.images.values():
            self.put(image)

    def batch_named(self, name: str) -> Batch | None:
        """Return the first batch of that name."""
        return next((batch for batch in self.batches if batch.name == name), None)

    def image(self, image_id: str) -> StoredImage:
        """Return a picture by its id.

        Raises:
            ApiError: There is none.
        """
        if image_id not in self.images:
            raise ApiError(404, f"project {self.name!r} has no image {image_id!r}")
        return self.images[image_id]

    def put(self, image: StoredImage) -> None:
        """Add a picture without touching any batch."""
        self.images[image.id] = image
        self.by_content.setdefault(image.sha256, image)


@dataclass(slots=True)
class Workspace:
    """A tenant and its projects."""

    name: str
    projects: Sequence[Project] = ()

    def __post_init__(self) -> None:
        _check_name("workspace", self.name)
        if self.name == "dataset":
            raise ValueError("workspace 'dataset' would hide the uploads: choose another name")
        names = [project.name for project in self.projects]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"workspace {self.name!r} has two projects {name!r}: rename one")

    def project(self, name: str) -> Project | None:
        """Return a project by its name."""
        return next((project for project in self.projects if project.name == name), None)


def _default_workspaces() -> list[Workspace]:
    return [Workspace("ws", [Project("ds")])]


def _new_id() -> str:
    return uuid.uuid4().hex[:20]


@dataclass(kw_only=True)
class State:
    """Everything a server answers from. All changes are made under ``lock``.

    Attributes:
        workspaces: The tenants; by default ``ws`` with the object detection project ``ds``.
        api_keys: Workspace name by key. Empty: every key is accepted, stands for the first
            workspace and may read all of them.
        store: Directory that pictures and annotations are also written to.
        keep_pictures: Whether bytes stay in memory; without, size and hash remain.
        max_body_bytes: A larger request is answered with 413.
        now: The clock, in seconds since 1970.
        new_id: Makes the ids of pictures and batches.
    """

    workspaces: Sequence[Workspace] = field(default_factory=_default_workspaces)
    api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    store: Path | None = None
    keep_pictures: bool = True
    max_body_bytes: int = 64 * MIB
    now: Callable[[], float] = time.time
    new_id: Callable[[], str] = _new_id
    failures: Failures = field(default_factory=Failures)
    requests: RequestLog = field(default_factory=RequestLog, repr=False)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    started_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.started_at = self.now()
        if not self.workspaces:
            raise ValueError("the server has no workspace: give it at least one")
        known = {workspace.name for workspace in self.workspaces}
        for name in self.api_keys.values():
            if name not in known:
                raise ValueError(
                    f"an API key stands for workspace {name!r}, which is none of {sorted(known)}"
                )

    def workspace_of(self, api_key: str) -> Workspace:
        """Return the workspace a key stands for.

        Raises:
            ApiError: The key is missing or unknown.
        """
        if not api_key:
            raise ApiError(401, "no API key was sent: add api_key=… to the query")
        if not self.api_keys:
            return self.workspaces[0]
        if api_key not in self.api_keys:
            raise ApiError(401, "this API key is unknown or revoked")
        name = self.api_keys[api_key]
        return next(workspace for workspace in self.workspaces if workspace.name == name)

    def workspace(self, name: str, api_key: str) -> Workspace:
        """Return a workspace that the key may read.

        Raises:
            ApiError: The key is missing, unknown or another tenant's, or there is no such
                workspace.
        """
        own = self.workspace_of(api_key)
        if self.api_keys and name != own.name:
            raise ApiError(401, f"this API key has no access to workspace {name!r}")
        for workspace in self.workspaces:
            if workspace.name == name:
                return workspace
        raise ApiError(404, f"there is no workspace {name!r}")

    def dataset(self, name: str, api_key: str) -> tuple[Workspace, Project]:
        """Return the project that an upload names, with its workspace.

        Raises:
            ApiError: The key is missing or unknown, or there is no such project for it.
        """
        own = self.workspace_of(api_key)
        readable: Iterable[Workspace] = [own] if self.api_keys else self.workspaces
        for workspace in readable:
            project = workspace.project(name)
            if project is not None:
                return workspace, project
        raise ApiError(404, f"workspace {own.name!r} has no project {name!r}")

    def add_image(self, project: Project, image: StoredImage, batch: str) -> StoredImage | None:
        """Store a picture into a batch, which is made where it is missing.

        Returns:
            The picture that is there already when the content is a duplicate, else None.
        """
        with self.lock:
            earlier = project.by_content.get(image.sha256)
            if earlier is not None:
                return earlier
            found = project.batch_named(batch)
            if found is None:
                found = Batch(id=self.new_id(), name=batch)
                project.batches.append(found)
            found.images += 1
            project.put(image)
            return None


def content_hash(data: bytes) -> str:
    """Return what two pictures of the same content share."""
    return hashlib.sha256(data).hexdigest()


def _check_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{what} {name!r}: a name consists of letters, digits, '_' and '-' and does not begin "
            "with '__'"
        )
