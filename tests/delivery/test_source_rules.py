"""Our own source, read by a parser: nothing there runs strangers' bytes or trusts anybody.

ruff's rules say most of it too, but a suppression in a line would silence them; this has none.
"""

import ast
from pathlib import Path

import pytest

import al_framework
import al_framework_local
import al_framework_roboflow

# Where the packages are, whether they are installed or lie in the checkout.
ROOTS = [
    Path(one.__file__).parent for one in (al_framework, al_framework_local, al_framework_roboflow)
]
FILES = sorted(
    path
    for root in [ROOTS[0], *ROOTS[1].parent.glob("al_framework_*")]
    for path in root.rglob("*.py")
)

MODULES = {
    "cloudpickle": "runs what it reads",
    "dill": "runs what it reads",
    "joblib": "runs what it reads",
    "marshal": "runs what it reads",
    "pickle": "runs what it reads",
    "shelve": "runs what it reads",
    "tarfile": "writes where the archive says",
    "telnetlib": "speaks in clear",
    "ftplib": "speaks in clear",
    "xml": "expands entities",
    "yaml": "makes objects of tags",
    "zipfile": "unfolds bombs",
}
CALLS = {
    "eval": "runs text",
    "exec": "runs text",
    "compile": "makes code of text",
    "__import__": "imports what a text names",
    "os.system": "asks a shell",
    "os.popen": "asks a shell",
    "tempfile.mktemp": "leaves time for another to take the name",
    "shutil.unpack_archive": "writes where the archive says",
    "ssl._create_unverified_context": "trusts anybody",
    "numpy.load": "may unpickle",
    "np.load": "may unpickle",
    "torch.load": "unpickles",
    "os.umask": "changes the whole process",
    "socket.setdefaulttimeout": "changes the whole process",
    "signal.signal": "belongs to the application",
}
KEYWORDS = {
    ("verify", False): "trusts any certificate",
    ("check_hostname", False): "trusts any certificate",
    ("shell", True): "asks a shell",
    ("allow_pickle", True): "runs what it reads",
    ("allow_redirects", True): "sends secrets wherever an answer says",
    ("autoescape", False): "lets markup through",
}
ATTRIBUTES = {
    "LOAD_TRUNCATED_IMAGES": "makes half a picture pass",
    "MAX_IMAGE_PIXELS": "changes the whole process",
    "CERT_NONE": "trusts any certificate",
    "disable_warnings": "hides that TLS is not verified",
}
# What is allowed, each for a reason.
ALLOWED = {
    ("cli/_signals.py", "signal.signal"): "a command owns its process",
    ("cli/run.py", "signal.signal"): "a command owns its process",
    ("server/command.py", "signal.signal"): "a command owns its process",
}


def breaches(source, name="x.py"):
    """Return what a file does that it must not, as lines for a person."""
    tree = ast.parse(source)
    found = []
    for node in ast.walk(tree):
        for what, why in _objections(node):
            if not any(name.endswith(file) and what == one for file, one in ALLOWED):
                found.append(f"{name}:{node.lineno}: {what} {why}")
    return found


def _objections(node):
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _module(alias.name)
    elif isinstance(node, ast.ImportFrom):
        yield from _module(node.module or "")
    elif isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        if called.endswith("Image.open") and "formats" not in {one.arg for one in node.keywords}:
            yield called, "tries 43 formats"
        if called in CALLS:
            yield called, CALLS[called]
        for keyword in node.keywords:
            value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
            if (keyword.arg, value) in KEYWORDS:
                yield f"{keyword.arg}={value}", KEYWORDS[keyword.arg, value]
    elif isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
        yield node.attr, ATTRIBUTES[node.attr]


def _module(name):
    top = name.partition(".")[0]
    if top in MODULES:
        yield f"import {top}", MODULES[top]


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_no_file_does_what_would_run_or_trust_a_stranger(path):
    assert breaches(path.read_text(encoding="utf-8"), str(path)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from xml.etree import ElementTree",
        "from zipfile import ZipFile",
        "import yaml",
        "eval('1')",
        "exec(text)",
        "requests.get(url, verify=False)",
        "session.send(request, allow_redirects=True)",
        "subprocess.run(line, shell=True)",
        "np.load(path)",
        "numpy.load(path, allow_pickle=True)",
        "PIL.Image.open(path)",
        "PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True",
        "context.verify_mode = ssl.CERT_NONE",
        "os.umask(0)",
        "tempfile.mktemp()",
    ],
)
def test_the_rule_finds_each_of_them(source):
    assert len(breaches(source)) >= 1


def test_the_rule_lets_plain_code_pass():
    assert (
        breaches("import json\nre.compile('x')\nrequests.get(u, verify=ca)\nast.literal_eval(s)")
        == []
    )


def test_there_are_files_to_look_at():
    names = {path.name for path in FILES}

    assert {"image.py", "transport.py", "sink.py", "store.py"} <= names
