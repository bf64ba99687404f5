"""What stands in for the network: the replies of a case, and a note of every request."""

import io
import json
from contextlib import contextmanager
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import PIL.Image
import requests
from inference.core import roboflow_api


class Server:
    """Answers as a case says, and notes what it was asked."""

    def __init__(self, state):
        self.frame, self.number = {}, 0
        self._state, self._calls = state, []

    @contextmanager
    def in_place(self):
        with (
            mock.patch.object(roboflow_api.requests, "get", self._get),
            mock.patch.object(roboflow_api.requests, "post", self._post),
        ):
            yield

    def take(self):
        calls, self._calls = self._calls, []
        return calls

    def _get(self, url, **_arguments):
        path = urlsplit(url).path
        self._calls.append(["GET", path])
        name = path.rpartition("/")[2]
        return _replied(self._state.get(f"{name}_reply", {"json": {name: self._state.get(name)}}))

    def _post(self, url, *, data, **_arguments):
        parts = urlsplit(url)
        query = [[k, v] for k, v in parse_qsl(parts.query, True) if k != "api_key"]
        if parts.path.endswith("/upload"):
            _, image, _ = data.fields["file"]
            with PIL.Image.open(io.BytesIO(image)) as picture:
                size = [picture.height, picture.width]
            self._calls.append(["UPLOAD", parts.path, query, size])
            well = {"json": {"success": True, "id": f"img-{self.number}"}}
            return _replied(self.frame.get("upload", well))
        name = query[0][1]
        query[0][1] = f"<id>.{name.rpartition('.')[2]}"
        self._calls.append(["ANNOTATE", parts.path, query, data])
        return _replied(self.frame.get("annotate", {"json": {"success": True}}))


def _replied(reply):
    if "raise" in reply:
        raise getattr(requests.exceptions, reply["raise"])
    response = requests.Response()
    response.status_code = reply.get("status", 200)
    text = reply["text"] if "text" in reply else json.dumps(reply["json"])
    response._content = text.encode()
    response.url = "http://roboflow.invalid"
    return response
