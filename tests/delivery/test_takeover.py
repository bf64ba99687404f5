"""The process that delivers is killed in the middle; the one that stood by finishes its work."""

import json

import pytest


@pytest.mark.parametrize("how", ["reaped", "zombie"])
def test_the_standby_takes_over_what_a_killed_leader_had_in_hand(
    start_child, run_child, tmp_path, seed, how
):
    remote = start_child("remote", tmp_path / "remote.log", seed)
    port = int(remote.stdout.readline())

    report = json.loads(run_child("takeover", tmp_path, port, how, hang_s=300.0))

    assert report["hangs"] is True
    assert report["stands by"] is True
    assert report["delivered beside the leader"] == []
    assert report["taken over"] is True
    # The fourth picture was there without anybody knowing: it is sent again, and recognised.
    assert report["pictures"] == {"leader": 4, "standby": 17}
    assert report["verdict"] == {}
