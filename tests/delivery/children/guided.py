"""One run of fuzzing that is guided by what it reaches of our code, with atheris.

Usage: guided.py TARGET DIRECTORY [OPTION of libFuzzer]... [FILE]...; without files it looks for an
input that breaks TARGET, with files it tries these alone, which is how a find is repeated. What it
needs and what it finds lies in DIRECTORY. It ends with 0 if nothing was found.
"""

import base64
import hashlib
import importlib
import logging
import os
import sys
from pathlib import Path

import atheris

PLUGINS = ("al_framework_local", "al_framework_roboflow", "al_framework_webhook")
# What guides: less of it is loaded sooner, and leads less far from what is looked for.
GUIDES = {
    "pictures": ("al_framework", "PIL"),
    "group_files": ("al_framework",),
    "configurations": ("al_framework", *PLUGINS, "ruamel"),
    "answers": ("al_framework", *PLUGINS),
    "planted": (),
}
MEMORY_MB = {"pictures": 450}  # for one input: what 50 million pixels take
OTHERS_MB = 200
# An input that does not come back: ten times the second that it may take, and all memory together.
# What libraries say of broken pictures is not kept.
LIMITS = ("-timeout=10", "-rss_limit_mb=1024", "-close_fd_mask=2")
PEAK_RESET = Path("/proc/self/clear_refs")
MAX_SHOWN = 1 << 16  # of an input, in bytes
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CALLING = ("socket.", "subprocess.", "urllib.", "http.", "ctypes.", "os.system", "os.exec")
TOUCHING = ("os.", "shutil.", "tempfile.")
LOOKING = {"os.listdir", "os.scandir", "os.walk", "os.fwalk"}
IMPORTED = tuple(map(str, {sys.prefix, sys.base_prefix, Path(__file__).parents[3]}))


class Guard:
    """Notes whoever calls out, or touches files beyond one directory, while it is told to look.

    Args:
        root: The directory.
        may_read: Whether files elsewhere may be read: those that a configuration names.
    """

    def __init__(self, root, *, may_read):
        self._root, self._may_read = root, may_read
        self.trespasses = []
        self.is_looking = False
        sys.addaudithook(self._look)

    def _look(self, event, arguments):
        if not self.is_looking:
            return
        if event == "open":
            path, _, flags = arguments
            writes = bool(flags & WRITING)
            reads = not self._may_read and not str(path).startswith(IMPORTED)
            is_trespass = (writes or reads) and self._is_outside(path)
        elif event.startswith(TOUCHING) and event not in LOOKING:
            is_trespass = any(map(self._is_outside, arguments))
        else:
            is_trespass = False
        if is_trespass or event.startswith(CALLING):
            self.trespasses.append((event, arguments))

    def _is_outside(self, path):
        if not isinstance(path, str | bytes | os.PathLike):
            return False  # a descriptor was open before; the rest are numbers
        plain = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - Path.resolve looks at the disk
        return not Path(plain).is_relative_to(self._root)


def guarded(target, guard, directory, most_mb):
    """Return what tries one input; what is raised in it ends the run."""

    def attempt(data):
        # Not ru_maxrss: that of whoever has started us counts, too, and may have been larger.
        PEAK_RESET.write_text("5")
        before_kb = resident_kb("VmRSS")
        guard.is_looking = True
        try:
            target.check(data)
        finally:
            guard.is_looking = False
        grown_kb = resident_kb("VmHWM") - before_kb
        assert grown_kb < most_mb * 1024, f"{grown_kb} KiB for one input"
        assert not guard.trespasses, str(guard.trespasses)

    def told(data):
        try:
            attempt(data)
        except BaseException:
            tell(data, directory)
            raise

    return told


def resident_kb(name):
    """Return how much memory this process has in use, or had at the most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise ValueError(name)


def tell(data, directory):
    """Say what the input is, and how to try it again; standard error may be closed by now."""
    file = directory / f"crash-{hashlib.sha1(data).hexdigest()}"  # noqa: S324 - libFuzzer's name for it
    lines = [f"repeat with: {sys.executable} {__file__} {sys.argv[1]} {directory} {file}"]
    if len(data) <= MAX_SHOWN:
        lines.append(f"base64 of that file: {base64.b64encode(data).decode()}")
    sys.stdout.write("\n".join(["", *lines, ""]))
    sys.stdout.flush()


def prepare(target, directory):
    """Write seeds and words down, and return where: options of libFuzzer."""
    corpus, words = directory / "corpus", directory / "words"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number:02}").write_bytes(seed)
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
    words.write_text("".join(f'"{word}"\n' for word in quoted))
    return [f"-dict={words}", str(corpus)]


def main(name, directory, *options):
    logging.disable(logging.CRITICAL)
    sys.dont_write_bytecode = True  # what is imported late writes nothing either
    directory = Path(directory).absolute()
    root = directory / "root"
    root.mkdir(parents=True, exist_ok=True)
    module = f"guided_{name}"
    with atheris.instrument_imports(include=[module, *GUIDES[name]]):
        target = importlib.import_module(module).Fuzzed(root)
        for seed in target.seeds:  # what is loaded with the first of its kind is nobody's fault
            target.check(seed)
    guard = Guard(root, may_read=target.may_read)
    os.chdir(root)
    if all(option.startswith("-") for option in options):
        options = (*options, *prepare(target, directory))
    attempt = guarded(target, guard, directory, MEMORY_MB.get(name, OTHERS_MB))
    atheris.Setup([sys.argv[0], f"-artifact_prefix={directory}/", *LIMITS, *options], attempt)
    atheris.Fuzz()


main(*sys.argv[1:])
