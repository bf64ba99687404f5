import os
import subprocess
import sys
import threading

import pytest

from al_framework.api import SpoolError
from al_framework.pipeline.spool import locking
from al_framework.pipeline.spool.locking import FileLock, is_alive, process_name

# A process that certainly has ended, with the name it had.
ENDED = "from al_framework.pipeline.spool.locking import process_name\nprint(process_name())"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.lock"


def test_a_lock_is_had_once(path):
    one, two = FileLock(path), FileLock(path)

    assert one.try_acquire()
    assert not one.try_acquire()
    assert not two.try_acquire()
    one.release()
    assert two.try_acquire()
    two.release()
    one.close()
    two.close()
    two.close()


def test_threads_wait_for_each_other(path):
    lock = FileLock(path)
    inside, order = threading.Event(), []

    def wait_for_it() -> None:
        inside.set()
        with lock:
            order.append("second")

    with lock:
        thread = threading.Thread(target=wait_for_it)
        thread.start()
        inside.wait()
        order.append("first")
    thread.join()
    lock.close()

    assert ["first", "second"] == order


@pytest.mark.parametrize("take", [FileLock.__enter__, FileLock.try_acquire])
def test_a_lock_that_cannot_be_opened_is_not_held(tmp_path, take):
    lock = FileLock(tmp_path / "no directory" / "a.lock")
    for _ in range(2):  # the second one would wait for ever if the first had kept anything
        with pytest.raises(FileNotFoundError):
            take(lock)


def test_a_platform_without_flock_is_told_so(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setattr(sys, "platform", "win32")

    with pytest.raises(
        SpoolError,
        match=r"^spool lock '.*a\.lock': the platform 'win32' has no fcntl\.flock, without which"
        " two processes would destroy each other's work; use Linux or macOS$",
    ):
        FileLock(path)


def test_the_kernel_gives_a_dead_holders_lock_to_the_next(path):
    code = (
        "import os, pathlib, sys\n"
        "from al_framework.pipeline.spool.locking import FileLock\n"
        "lock = FileLock(pathlib.Path(sys.argv[1])); print(lock.try_acquire()); os._exit(9)"
    )
    ended = subprocess.run(
        [sys.executable, "-u", "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    lock = FileLock(path)

    assert (ended.returncode, ended.stdout) == (9, "True\n")
    assert lock.try_acquire()
    lock.release()
    lock.close()


# Fork, and then let go of the lock as a dying parent does: without unlocking it.
FORKING = """
import os, pathlib, sys
from al_framework.pipeline.spool.locking import FileLock
path = pathlib.Path(sys.argv[1])
lock = FileLock(path)
assert lock.try_acquire()
ready, tell_ready = os.pipe()
if os.fork() == 0:
    os.write(tell_ready, b"x")
    sys.stdin.read()
    os._exit(0)
os.read(ready, 1)
lock.close()
print(FileLock(path).try_acquire())
"""


def test_a_forked_child_does_not_keep_its_parents_lock(path):
    process = subprocess.Popen(
        [sys.executable, "-c", FORKING, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "True\n"
        process.stdin.close()


def test_a_child_starts_with_its_locks_open(path):
    lock = FileLock(path)
    lock.try_acquire()

    lock.after_fork()

    assert lock.try_acquire()
    lock.release()
    lock.close()


def test_this_process_is_alive():
    assert is_alive(process_name())


def test_an_ended_process_is_not_alive():
    ended = subprocess.run(
        [sys.executable, "-c", ENDED], capture_output=True, text=True, check=True
    )

    assert not is_alive(ended.stdout.strip())


def test_another_process_with_the_same_number_is_not_the_same():
    pid, started, boot = process_name().split(":")

    assert not is_alive(f"{pid}:{int(started) + 1}:{boot}")
    assert not is_alive(f"{pid}:{started}:another-boot")


@pytest.mark.parametrize(
    ("error", "alive"), [(None, True), (ProcessLookupError, False), (PermissionError, True)]
)
def test_without_proc_the_number_decides(monkeypatch, error, alive):
    def kill(pid: int, signal: int) -> None:
        assert (pid, signal) == (os.getpid(), 0)
        if error is not None:
            raise error

    monkeypatch.setattr(locking.Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(OSError))
    monkeypatch.setattr(os, "kill", kill)

    assert f"{os.getpid()}:0:" == process_name()
    assert is_alive(process_name()) is alive
