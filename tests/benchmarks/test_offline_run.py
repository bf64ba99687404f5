"""The run that is measured is a whole one, and stops and goes on as it is told."""

from benchmarks import offline_run


def test_a_run_takes_the_frames_of_its_turns_and_a_bare_loop_the_same(tmp_path):
    folder = offline_run.Folder(tmp_path / "folder", offline_run.SMALL, 40)
    looked_at = []
    with offline_run.assembled(folder, "count", tmp_path / "spool") as assembly:
        collecting, loop = offline_run.Run(assembly), offline_run.BareLoop(folder, looked_at.append)
        for number in (15, 25):
            collecting.go_on(number)
            loop.go_on(number)
        counts, predictor = assembly.counts(), assembly.predictor

    assert counts.offered == predictor.frames == len(looked_at) == 40
    assert counts.offered == counts.not_selected + counts.accepted
    assert len({bytes(data) for data in looked_at}) == offline_run.KINDS


def test_a_model_sees_what_the_bare_loop_sees(tmp_path):
    folder = offline_run.Folder(tmp_path / "folder", offline_run.SMALL, 1)
    data = (folder.path / "000000.jpg").read_bytes()
    rgb = offline_run.Image(data).pixels("rgb")

    assert offline_run.decode_and_score(data) == offline_run.score(rgb)
    assert offline_run.score(offline_run.Image(data).pixels()) == offline_run.score(rgb)


def test_a_short_run_begins_with_an_empty_spool_each_time(tmp_path):
    folder = offline_run.Folder(tmp_path / "folder", offline_run.SMALL, 20)
    runs = offline_run.ShortRuns(folder, tmp_path)
    costs = [runs.once(20) for _ in range(2)]

    assert all(cost.cpu_s > 0 for cost in costs)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
