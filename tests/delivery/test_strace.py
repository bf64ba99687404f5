"""What the kernel is really asked for, and in which order, while one datapoint passes."""

import re
import shutil
import subprocess

import pytest

CALLS = "fsync,fdatasync,openat,unlink,unlinkat,write,writev,pwrite64,access,faccessat,faccessat2"
LINE = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(\w+)\((.*)$")
PATHS = (
    ("ballast", "ballast"),
    (".als", "picture"),
    ("spool.db-wal", "log"),
    ("spool.db", "index"),
    ("acks", "acks"),
    ("remote.log", "remote"),
)


@pytest.fixture(scope="module")
def trace(children, tmp_path_factory):
    """Return the calls between two marks, as (what, on what)."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    probe = subprocess.run(
        [strace, "-qq", "-e", "trace=none", "true"], check=False, capture_output=True, text=True
    )
    if probe.returncode:
        pytest.skip(f"strace may not trace here: {probe.stderr.strip()}")
    directory = tmp_path_factory.mktemp("order")
    output = directory / "trace"
    prefix = (strace, "-f", "-y", "-qq", "-o", str(output), "-e", f"trace={CALLS}")
    process = children.start("order", directory, prefix=prefix)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output.read_text().splitlines()


def steps(trace, begin, end):
    """Return what happens between two marks to files of ours."""
    found, inside = [], False
    for line in trace:
        match = LINE.match(line)
        if match is None:
            continue
        call, rest = match.groups()
        if "/mark/" in rest:
            inside = f"/mark/{begin}" in rest or (inside and f"/mark/{end}" not in rest)
            continue
        if inside and (target := _target(call, rest)) is not None:
            step = (_verb(call, rest), target)
            # One thing may be written in pieces; it must not be synced in pieces.
            if found[-1:] != [step] or step[0] != "write":
                found.append(step)
    return found


def _verb(call, rest):
    if call == "openat":
        return "create" if "O_CREAT|O_EXCL" in rest or "O_EXCL" in rest else "open"
    return {"fdatasync": "sync", "fsync": "sync", "writev": "write", "pwrite64": "write",
            "unlinkat": "unlink"}.get(call, call)  # fmt: skip


def _target(call, rest):
    if call == "openat" and "O_EXCL" not in rest:
        return None
    if call == "fsync" and re.search(r"/obj/\d+>", rest):
        return "hour"
    known = next((name for part, name in PATHS if part in rest), None)
    if known is None and call in {"fsync", "fdatasync"}:
        return rest  # whatever it is, it costs as much as the others
    return known


def test_an_accept_syncs_picture_and_directory_before_the_index_and_reports_last(trace):
    assert steps(trace, "accept", "deliver") == [
        ("create", "picture"),
        ("write", "picture"),
        ("sync", "picture"),
        ("sync", "hour"),
        ("write", "log"),
        ("sync", "log"),
        ("write", "acks"),
    ]


def test_a_delivery_commits_each_step_before_the_next_and_removes_the_picture_last(trace):
    assert steps(trace, "deliver", "end") == [
        ("write", "log"),  # lease
        ("sync", "log"),
        ("write", "remote"),  # the picture is there
        ("write", "log"),  # checkpoint
        ("sync", "log"),
        ("write", "remote"),  # the annotation is there
        ("write", "log"),  # end
        ("sync", "log"),
        ("unlink", "picture"),
    ]
