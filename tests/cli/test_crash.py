import json
import signal
import time

import pytest

COUNT = 120
DEADLINE_S = 60.0

# Yields the pictures of a directory, and waits for the file `go` in front of the one in `hold`.
GATED = """
import time

from pydantic import Field

from al_framework.api import Frame, FrameKey, Image, Options, Source, hookimpl

class GatedOptions(Options):
    path: str = Field(description="Directory of the pictures.")

class Gated(Source[GatedOptions]):
    type_name = "gated"

    def frames(self, skip):
        base = self.context.base_dir
        hold = base / "hold"
        held = hold.read_text() if hold.exists() else ""
        for file in sorted((base / self.options.path).glob("*.jpg")):
            if file.name == held:
                (base / "waiting").touch()
                while not (base / "go").exists():
                    time.sleep(0.002)
            status = file.stat()
            key = FrameKey(
                source=self.context.name,
                frame_id=f"{self.context.name}/{file.name}",
                size=status.st_size,
                mtime_ns=status.st_mtime_ns,
            )
            if not skip(key):
                yield Frame(frame_id=key.frame_id, image=Image(file), source=self.context.name)

@hookimpl
def al_register_sources():
    return [Gated]
"""


def wait_for(happened, process):
    """Look until something has happened, or the process has ended."""
    deadline = time.monotonic() + DEADLINE_S
    while not happened() and process.poll() is None:
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.001)


def finish(process):
    out, err = process.communicate(timeout=DEADLINE_S)
    assert "Traceback" not in out + err, err
    return out, err


@pytest.fixture
def gated(desk):
    """Frames behind a source that stops in front of one of them."""
    desk.install("gated", GATED)
    desk.add_frames(COUNT)
    desk.write(source="gated")

    def hold_at(number):
        (desk.directory / "hold").write_text(f"{number:03d}.jpg")
        process = desk.spawn("run", "al.yaml", "--json")
        wait_for((desk.directory / "waiting").exists, process)
        assert process.poll() is None, process.communicate()
        return process

    desk.hold_at = hold_at
    return desk


def check_complete(desk):
    assert desk.collected() == desk.names()
    assert len(desk.pictures()) == len(desk.names())
    items = [line["item_id"] for line in desk.manifest()]
    assert len(set(items)) == len(items)


@pytest.mark.parametrize("number", [0, 16, 17, COUNT - 1])
def test_a_run_killed_in_front_of_any_frame_is_completed_by_the_next(gated, number):
    process = gated.hold_at(number)
    process.kill()
    finish(process)
    (gated.directory / "go").touch()
    second = gated.call("run", "al.yaml", "--json")

    assert process.returncode == -signal.SIGKILL
    assert second.status == 0
    counts = second.summary["counts"]
    assert counts["skipped"] + counts["accepted"] == COUNT
    assert counts["skipped"] >= number - 15  # with its 16th frame a group is committed, or sooner
    check_complete(gated)


@pytest.mark.parametrize("sign", ["index", "group", 1, 25, 100])
def test_a_run_killed_while_it_works_is_completed_by_the_next(desk, sign):
    desk.add_frames(COUNT)
    desk.write()
    spool, manifest = desk.directory / ".al" / "line", desk.directory / "collected/manifest.jsonl"

    def happened():
        if sign == "index":
            return (spool / "spool.db").exists()
        if sign == "group":
            return any(spool.glob("obj/*/*.als"))
        return manifest.exists() and manifest.read_bytes().count(b"\n") >= sign

    process = desk.spawn("run", "al.yaml", "--json")
    wait_for(happened, process)
    process.kill()
    finish(process)
    second = desk.call("run", "al.yaml", "--json")

    assert process.returncode in {-signal.SIGKILL, 0}  # 0: it was faster than this test
    assert second.status == 0, second
    check_complete(desk)


def test_a_run_that_another_one_overtakes_takes_nothing_twice(gated):
    first = gated.hold_at(10)  # with ten frames in hand
    (gated.directory / "hold").unlink()
    second = gated.call("run", "al.yaml", "--json")
    (gated.directory / "go").touch()
    out, _ = finish(first)
    counts = json.loads(out)["counts"]

    assert (first.returncode, second.status) == (0, 0)
    assert second.summary["counts"]["accepted"] == COUNT
    assert counts["dropped"] == {"seen_meanwhile": 10}
    assert (counts["accepted"], counts["skipped"]) == (0, COUNT - 10)
    check_complete(gated)


def test_a_run_killed_again_and_again_gets_there(desk):
    desk.add_frames(COUNT)
    desk.write()
    for target in (1, 40, 80):
        process = desk.spawn("run", "al.yaml", "--json")
        wait_for(lambda target=target: len(desk.pictures()) >= target, process)
        process.kill()
        finish(process)
    last = desk.call("run", "al.yaml", "--json")

    assert last.status == 0
    check_complete(desk)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_delivers_what_it_has_and_the_next_does_the_rest(gated, number):
    process = gated.hold_at(20)
    process.send_signal(number)
    (gated.directory / "go").touch()
    out, _ = finish(process)
    taken = gated.collected()
    (gated.directory / "hold").unlink()
    second = gated.call("run", "al.yaml", "--json")

    assert process.returncode == 130
    assert '"interrupted": true' in out
    assert '"offered": 21' in out
    assert taken == gated.names()[:21]
    assert second.status == 0
    counts = second.summary["counts"]
    assert (counts["skipped"], counts["accepted"]) == (21, COUNT - 21)
    check_complete(gated)


def test_an_interrupted_run_says_so_to_a_person(gated):
    gated.write(source="gated")
    (gated.directory / "hold").write_text("005.jpg")
    process = gated.spawn("run", "al.yaml")
    wait_for((gated.directory / "waiting").exists, process)
    process.send_signal(signal.SIGINT)
    (gated.directory / "go").touch()
    out, _ = finish(process)

    assert process.returncode == 130
    assert ") interrupted after " in out.splitlines()[0]


def test_two_runs_at_a_time_share_the_work_and_repeat_nothing(desk):
    desk.add_frames(40)
    desk.write()
    processes = [desk.spawn("run", "al.yaml", "--json") for _ in range(2)]
    for process in processes:
        finish(process)
    last = desk.call("run", "al.yaml", "--json")

    assert last.status == 0
    check_complete(desk)
