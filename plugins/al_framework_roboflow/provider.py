"""The configuration provider `roboflow`: the Active Learning document of a project.

Source: Roboflow inference 1.8.3, active_learning/configuration.py. Deviation ``exact-project``
(D27): upstream takes a model for one of the project when its id merely begins with the project's
name.
"""

import hashlib
from http import HTTPStatus

from pydantic import Field

from al_framework.api import ConfigurationProvider, Context, ProvidedConfiguration, Target
from al_framework_roboflow.client import RoboflowApiError
from al_framework_roboflow.connection import ConnectionOptions

_DEFAULT_TYPE = "object-detection"
_NOT_OURS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND}


class RoboflowConfigurationOptions(ConnectionOptions):
    """Options of the configuration provider `roboflow`."""

    model_project: str | None = Field(
        default=None,
        min_length=1,
        description="Project of the model whose predictions are collected, or its model id, where "
        "it is another one: collection stays off if the types of the two do not go together.",
    )
    refresh_after_s: float = Field(
        default=900.0,
        ge=5,
        le=86400,
        description="Seconds after which the document is asked for again.",
    )


class RoboflowConfiguration(ConfigurationProvider[RoboflowConfigurationOptions]):
    """Fetches the Active Learning document of a project, every 15 minutes by default."""

    type_name = "roboflow"

    def __init__(self, options: RoboflowConfigurationOptions, context: Context) -> None:
        super().__init__(options, context)
        self._client = options.connect()
        self._untyped: set[str] = set()

    @property
    def identity(self) -> str:
        """A hash of key, address and projects."""
        options = self.options
        parts = (
            options.api_key.get_secret_value(),
            options.api_url,
            options.workspace or "",
            options.project,
            options.model_project or "",
        )
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def fetch(self) -> ProvidedConfiguration:
        """Ask for workspace, project type and document, in this order.

        Raises:
            RoboflowApiError: An answer is missing or cannot be read; except that a document which
                is refused with 401 or 404 means that collection is off.
        """
        options = self.options
        workspace = options.workspace or self._client.workspace()
        target = Target(workspace=workspace, project=options.project)
        reason = self._mismatch(workspace)
        if reason:
            return self._off(reason, target)
        place = f"{workspace}/{options.project}"
        try:
            document = self._client.active_learning(workspace, options.project)
        except RoboflowApiError as exc:
            if exc.status not in _NOT_OURS:
                raise
            reason = f"{place!r} shows this key no Active Learning document ({exc.status})"
            return self._off(reason, target)
        if not document.get("enabled"):
            return self._off(f"Active Learning is switched off in {place!r}", target)
        return ProvidedConfiguration(
            document=document, target=target, refresh_after_s=options.refresh_after_s
        )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _off(self, reason: str, target: Target) -> ProvidedConfiguration:
        return ProvidedConfiguration(
            document=None,
            reason=reason,
            target=target,
            refresh_after_s=self.options.refresh_after_s,
        )

    def _mismatch(self, workspace: str) -> str:
        """Return why the model's predictions do not fit the project; empty if they do."""
        project = self.options.project
        wanted = self._type_of(workspace, project)
        model_project = (self.options.model_project or project).partition("/")[0]
        if model_project == project:
            return ""
        given = self._type_of(workspace, model_project)
        if ("classification" in wanted) == ("classification" in given):
            return ""
        return (
            f"the model's project {model_project!r} is of type {given!r}, which does not go "
            f"together with {project!r} of type {wanted!r}"
        )

    def _type_of(self, workspace: str, project: str) -> str:
        found = self._client.project_type(workspace, project)
        if found is not None:
            return found
        if project not in self._untyped:
            self._untyped.add(project)
            self.context.logger.warning(
                "configuration %r: the project %r has no type, so it is taken for %r",
                self.context.name,
                project,
                _DEFAULT_TYPE,
            )
        return _DEFAULT_TYPE
