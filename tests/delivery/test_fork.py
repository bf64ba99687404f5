"""A server that loads a collector before it forks its workers, and loses some of them."""

import json

import pytest


@pytest.mark.timeout(0)  # a soak repeats it; the child has hang limits of its own
def test_forked_workers_collect_and_one_of_them_delivers_whoever_is_killed(
    start_child, run_child, tmp_path, seed, size
):
    for number in range(size.pick(ci=1, full=10, soak=100)):
        directory = tmp_path / str(number)
        directory.mkdir()
        remote = start_child("remote", directory / "remote.log", seed)
        port = int(remote.stdout.readline())

        output = run_child("preforked", directory, port, seed + number, hang_s=200.0)

        report = json.loads(output)
        assert [phase["answered"] for phase in report["phases"]] == [9, 8, 7, 6]
        assert all(phase["arrived"] for phase in report["phases"])
        leaders = [phase["deliverers"] for phase in report["phases"]]
        assert [len(one) for one in leaders] == [1, 1, 1, 1]
        assert len({one[0] for one in leaders}) == 4
        assert report["closed"] == ["closed"] * 6
        assert report["accepted"] == 5 * (9 + 8 + 7 + 6)
        assert report["image lost"] == report["annotation lost"] == []
        assert report["image twice"] == report["annotation twice"] == []
        assert report["two datapoints of one frame"] == 0
        assert report["left"] == {}
        remote.kill()
