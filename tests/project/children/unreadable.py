"""Submit pictures whose pixels cannot be read: whoever tries dies, and the stack is shown.

Run as ``unreadable.py KIND DIRECTORY`` with the kind of picture: ``jpeg``, ``array`` or ``pil``.
The picture lies in pages that the system gives to nobody, of a JPEG all but the first, which holds
its header. Says first how a child of its own ended that has read a pixel, then what became of each
frame.
"""

import ctypes
import faulthandler
import io
import mmap
import os
import resource
import signal
import sys

import numpy as np
import PIL.Image

from al_framework import Collector
from al_framework.api import Detections
from al_framework.testing import sample_jpeg

SIZE = WIDTH, HEIGHT = 3840, 2160
LONG_S = 60.0
STRATEGIES = {
    "not_selected": [
        {"type": "close_to_threshold", "threshold": 0.4, "epsilon": 0.1, "probability": 1.0},
        {"type": "random", "traffic_percentage": 0.0},
        {"type": "detections_number_based", "more_than": 5000, "probability": 1.0},
        {"type": "classes_based", "selected_class_names": ["cat"], "probability": 1.0},
    ],
    "limited": [
        {
            "type": "random",
            "traffic_percentage": 1.0,
            "limits": [{"type": "daily", "value": 1}],
        }
    ],
}


def memory(size):
    """Return so many bytes in pages of their own, and where they are."""
    pages = mmap.mmap(-1, size)
    return pages, ctypes.addressof(ctypes.c_char.from_buffer(pages))


def forbid(address, size):
    """Let nobody read these pages."""
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if protect(address, size, 0):
        raise OSError(ctypes.get_errno(), "the pages cannot be protected")


def unreadable_array():
    pages, address = memory(WIDTH * HEIGHT * 3)
    forbid(address, len(pages))
    array = np.frombuffer(pages, dtype=np.uint8).reshape((HEIGHT, WIDTH, 3))
    return array, lambda: array[-1, -1, -1]


def unreadable_pil():
    # Of this mode Pillow takes the memory as it is; RGB it would copy, to four bytes a pixel.
    pages, address = memory(WIDTH * HEIGHT * 4)
    picture = PIL.Image.frombuffer("RGBA", SIZE, pages, "raw", "RGBA", 0, 1)
    forbid(address, len(pages))
    return picture, lambda: picture.getpixel((WIDTH - 1, HEIGHT - 1))


def unreadable_jpeg():
    buffer = io.BytesIO()
    PIL.Image.new("RGB", SIZE, (10, 120, 60)).save(buffer, "JPEG")
    plain = buffer.getvalue()
    # An object of CPython's is what lies in memory: a copy of its bytes elsewhere is another one.
    size = sys.getsizeof(plain)
    pages, address = memory(size)
    ctypes.memmove(address, id(plain), size)
    ctypes.c_ssize_t.from_address(address).value = 1 << 30  # references: it is never freed
    forbid(address + mmap.PAGESIZE, size - mmap.PAGESIZE)
    data = ctypes.cast(address, ctypes.py_object).value
    return data, lambda: (data[-1], pages)  # which go when nobody names them any more


def signal_of(read):
    """Return the name of the signal that ends a child which does that; empty for none."""
    child = os.fork()
    if child == 0:
        read()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else ""


def predictions():
    """Return one of our types, and one that has to be read."""
    entry = {"x": 15.5, "y": 21.0, "width": 29.0, "height": 38.0, "confidence": 0.9, "class": "car"}
    yield (
        "typed",
        Detections(
            xyxy=np.tile([1.0, 2.0, 30.0, 40.0], (3, 1)),
            confidence=np.full(3, 0.9),
            class_name=("car",) * 3,
            image_size=SIZE,
        ),
    )
    yield "document", {"image": {"width": WIDTH, "height": HEIGHT}, "predictions": [entry] * 3}


def collect(image, status, directory):
    """Submit frames that end with that status."""
    named = [{**one, "name": str(n)} for n, one in enumerate(STRATEGIES[status])]
    collector = Collector.from_config(
        {
            "name": "unreadable",
            "adapter": {"type": "roboflow_response"},
            "active_learning": {
                "enabled": True,
                "persist_predictions": True,
                "sampling_strategies": named,
                "batching_strategy": {"batches_name_prefix": "b", "recreation_interval": "never"},
            },
            "sinks": [{"type": "null"}],
            "spool": {"path": f"{directory}/{status}", "min_free_bytes": 0},
        }
    )
    if status == "limited":
        collector.submit(sample_jpeg())  # spends the limit
        collector.flush(LONG_S)
    for form, prediction in predictions():
        for _ in range(3):
            say(form, collector.submit(image, prediction).status)


def say(*words):
    print(*words, flush=True)  # noqa: T201 - what the parent reads


def main():
    kind, directory = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    image, read = globals()[f"unreadable_{kind}"]()
    say("control", signal_of(read))
    faulthandler.enable()
    for status in STRATEGIES:
        collect(image, status, directory)
    os._exit(0)  # nothing here is worth closing, or may be freed


if __name__ == "__main__":
    main()
