"""One HTTP exchange with Roboflow's API: paths that stay where they belong, the key in front."""

from collections.abc import Collection, Sequence
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from al_framework.api.http import HttpClient, Timeouts
from al_framework_roboflow.answers import WORDING, Reply, RoboflowApiError
from al_framework_roboflow.scrubbing import KEY_PARAMETER


class Transport:
    """Sends requests with the key as the first query parameter; safe from several threads.

    Args:
        api_key: The key.
        api_url: Address of the API: scheme, host, and possibly a path in front.
        timeout_s: Seconds to wait for each part of an answer.
        deadline_s: Seconds that a request may take in all.
    """

    def __init__(
        self, *, api_key: SecretStr, api_url: str, timeout_s: float, deadline_s: float
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._http = HttpClient(
            secret_query={KEY_PARAMETER: api_key},
            timeouts=Timeouts(read_s=timeout_s, total_s=deadline_s),
            wording=WORDING,
        )

    def send(
        self,
        method: str,
        *path: str,
        query: Sequence[tuple[str, str]] = (),
        body: bytes | tuple[bytes, ...] | None = None,
        content_type: str | None = None,
        accept: Collection[int] = (),
    ) -> Reply:
        """Make one request and return its answer.

        Args:
            method: The HTTP method.
            path: The parts of the path, as they are before quoting.
            query: What follows the key.
            body: The body, its parts, or None.
            content_type: What the body is.
            accept: Statuses outside 200 to 299 to return rather than to raise.

        Raises:
            RoboflowApiError: There was no answer, or one with another status.
        """
        address = "/".join((self._api_url, *(_segment(part) for part in path)))
        if not path:
            address += "/"
        # Half a character, as in an inference id that came as JSON, must not cost the picture.
        url = f"{address}?{urlencode(query, errors='replace')}" if query else address
        headers = {} if content_type is None else {"Content-Type": content_type}
        return self._http.send(method, url, body=body, headers=headers, accept=accept)

    def close(self) -> None:
        """Close every connection; a request after this opens new ones."""
        self._http.close()


def _segment(text: str) -> str:
    """Quote one part of a path; a part must not move the path elsewhere."""
    if text.isascii() and text.isalnum():  # as most are: there is nothing to look for
        return text
    if text in {"", ".", ".."} or not text.isprintable():
        raise RoboflowApiError(
            f"{text!r} is no name of a workspace, a project or an image: correct it",
            kind="configuration",
        )
    return quote(text, safe="")
