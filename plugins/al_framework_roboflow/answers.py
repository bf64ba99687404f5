"""What a failed request to Roboflow's API is, and what its status means there."""

from collections.abc import Mapping
from types import MappingProxyType

from al_framework.api.http import HttpError, HttpReply, Wording, retry_after_s

__all__ = ["WORDING", "Reply", "RoboflowApiError", "retry_after_s"]

Reply = HttpReply


class RoboflowApiError(HttpError):
    """A request to Roboflow's API did not succeed; `HttpError.kind` says why."""


_ADVICE: Mapping[int, str] = MappingProxyType(
    {
        401: "check api_key",
        402: "check the plan of the workspace",
        403: "check what api_key has access to",
        404: "check workspace and project, and whether api_key belongs to them",
        423: "the workspace is paused, which its owner can end",
    }
)
WORDING = Wording(
    peer="Roboflow's API", url_option="api_url", advice=_ADVICE, error=RoboflowApiError
)
