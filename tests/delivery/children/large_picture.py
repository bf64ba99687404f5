"""Store a picture as large as any that is taken; say what that has cost.

Usage: large_picture.py BITS COLORS SIDE, with bits a channel and colours as PNG names them, and the
longest side to store or 0. Prints megabytes at the most and seconds of the processor.
"""

import json
import struct
import sys
import time
import zlib
from pathlib import Path

from al_framework.api import Frame, Image, Unlabelled
from al_framework.pipeline.encoding import EncodingRules, encode_frame

SIZE = 7071  # squared, it is just within the 50 million pixels
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(kind, payload):
    checked = kind + payload
    return struct.pack(">I", len(payload)) + checked + struct.pack(">I", zlib.crc32(checked))


def png(size, bits, colors):
    row = 1 + (size * bits * CHANNELS[colors] + 7) // 8
    palette = chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", b"\0") if colors == 3 else b""
    head = struct.pack(">IIBBBBB", size, size, bits, colors, 0, 0, 0)
    pixels = zlib.compress(bytes(row * size), 9)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + palette
    return start + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def resident_mb(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise ValueError(name)


def store(data, rules):
    encode_frame(Frame(frame_id="f", image=Image(data)), Unlabelled(), rules)


def main(bits, colors, side):
    rules = EncodingRules(max_image_size=(side, side) if side else None)
    store(png(64, bits, colors), rules)  # what is imported is not of the picture
    data = png(SIZE, bits, colors)
    Path("/proc/self/clear_refs").write_text("5")
    before, began = resident_mb("VmRSS"), time.process_time()
    store(data, rules)
    cost = {"mb": resident_mb("VmHWM") - before, "s": time.process_time() - began}
    sys.stdout.write(json.dumps(cost))


main(*map(int, sys.argv[1:]))
