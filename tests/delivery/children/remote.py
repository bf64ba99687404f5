"""A remote service that recognises what it holds, in a process that nobody kills.

It takes a picture and, in a second request, its annotation; both are known by the datapoint's name.
A share of the requests fails before or after it was worked on. All that happens is a line of the
log, which is what the judge reads. Usage: remote.py LOG SEED; prints its port.
"""

import json
import os
import random
import socket
import socketserver
import sys
import threading
from hashlib import sha256

from offers import image_digest, words_of

from al_framework.api import Receipt, TransientSinkError

HANG_S = 30.0


class Remote(socketserver.ThreadingTCPServer):
    """Takes requests."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, log, seed):
        super().__init__(("127.0.0.1", 0), Request)
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self._images = {}
        self._annotations = {}
        self.fault_rate = 0.0

    def handle_error(self, request, client_address):
        """Say nothing: a client that is killed in the middle is what this is for."""

    def fails(self):
        with self._lock:
            return self._rng.random() < self.fault_rate

    def work(self, header, body):
        """Do what is asked once, and say what was done."""
        op, item_id = header["op"], header["item_id"]
        with self._lock:
            if op == "image":
                is_new = item_id not in self._images
                self._images.setdefault(item_id, header["digest"])
            else:
                assert item_id in self._images, f"{item_id}: annotated before it was there"
                is_new = item_id not in self._annotations
                self._annotations.setdefault(item_id, header["digest"])
            self.note({**header, "new": is_new})
        return {"remote_id": f"remote-{item_id}", "status": "created" if is_new else "duplicate"}

    def note(self, line):
        os.write(self._log, json.dumps(line).encode() + b"\n")


class Request(socketserver.StreamRequestHandler):
    """One request: a line of JSON, the body; one line of JSON back, or nothing."""

    timeout = HANG_S

    def handle(self):
        server = self.server
        header = json.loads(self.rfile.readline())
        if header["op"] == "faults":
            server.fault_rate = header["rate"]
            self._answer({})
            return
        body = self.rfile.read(header["bytes"])
        if len(body) < header["bytes"]:  # killed while it was sending
            server.note({**header, "op": "short"})
            return
        if sha256(body).hexdigest() != header["digest"]:
            server.note({**header, "op": "altered"})
            return
        if server.fails():
            return
        answer = server.work(header, body)
        if not server.fails():
            self._answer(answer)

    def _answer(self, answer):
        self.wfile.write(json.dumps(answer).encode() + b"\n")


class RemoteSink:
    """Delivers to a `Remote`: picture, checkpoint, annotation."""

    def __init__(self, port):
        self.port = int(port)

    def __call__(self, datapoint, checkpoint):
        remote_id, status = checkpoint.state.get("remote_id"), "created"
        item_id = datapoint.item_id
        if remote_id is None:
            header = {"op": "image", "item_id": item_id, "digest": image_digest(datapoint)}
            answer = self._ask(header, datapoint.image)
            remote_id, status = answer["remote_id"], answer["status"]
            checkpoint.save(remote_id=remote_id)
        words = words_of(datapoint)
        self._ask(
            {"op": "annotation", "item_id": item_id, "digest": sha256(words).hexdigest()}, words
        )
        return Receipt(status=status, remote_id=remote_id)

    def by_frame(self, datapoint, checkpoint):
        """Deliver under the name of the frame; the log tells which datapoint it was."""
        header = {"item_id": f"item-{datapoint.frame_id}", "datapoint": datapoint.item_id}
        picture = {**header, "op": "image", "digest": image_digest(datapoint)}
        answer = self._ask(picture, datapoint.image)
        checkpoint.save(remote_id=answer["remote_id"])
        self._ask({**header, "op": "annotation", "digest": sha256(b"").hexdigest()}, b"")
        return Receipt(status=answer["status"], remote_id=answer["remote_id"])

    def set_faults(self, rate):
        self._ask({"op": "faults", "item_id": "", "rate": rate}, b"")

    def _ask(self, header, body):
        header = {**header, "bytes": len(body), "pid": os.getpid()}
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=HANG_S) as connection:
                connection.sendall(json.dumps(header).encode() + b"\n" + body)
                with connection.makefile("rb") as answers:
                    line = answers.readline()
        except OSError as exc:
            raise TransientSinkError(f"sink 'remote': {exc}") from exc
        if not line:
            raise TransientSinkError("sink 'remote': no answer")
        return json.loads(line)


def main(log, seed):
    with Remote(log, int(seed)) as server:
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
