import shutil

import pytest

UNSURE = (
    "{name: unsure, type: close_to_threshold, threshold: 0.5, epsilon: 0.2, probability: 1, "
    "limits: [{type: daily, value: 1}]}"
)


@pytest.fixture
def ran(al, desk, still_clock):
    """A run with a frame of every fate."""
    desk.add_frames(3, confidence=lambda number: (0.45, 0.9, 0.5)[number])
    (desk.frames / "bad.jpg").write_bytes(b"no picture at all")
    desk.write(strategies=(UNSURE,))
    result = al("run", "al.yaml", "--json")
    assert result.status == 0, result.err
    return al


def explained(al, *arguments):
    result = al("explain", *arguments)
    assert result.status == 0, result.err
    return [" ".join(line.split()) for line in result.out.splitlines()]


def test_an_accepted_frame_shows_verdict_payer_and_delivery(ran, desk):
    rows = explained(ran, "cam/000.jpg")

    assert rows[0] == "cam/000.jpg accepted, decided 2023-11-14 22:13:20+00:00"
    assert rows[1] == "strategy wants it utility chance drawn takes it reason"
    assert rows[2].startswith("unsure (paid) yes 0.75 1 0.")
    assert " yes " in rows[2][20:]
    picture = desk.pictures()[0].as_uri()
    assert rows[3] == f"sink 'directory': delivered, created, {picture}"
    assert rows[4] == "from the spool"


def test_a_frame_that_no_strategy_wanted_shows_their_verdicts(ran):
    rows = explained(ran, "cam/001.jpg")

    assert rows[0].startswith("cam/001.jpg not_selected, decided ")
    assert rows[2].startswith("unsure no ")
    assert rows[-1] == "from the spool"


def test_a_limited_frame_names_the_limits(ran):
    rows = explained(ran, "cam/002.jpg")

    assert rows[0].startswith("cam/002.jpg limited, decided ")
    assert rows[2].startswith("unsure yes 1 1 0.")
    assert ("the limits of every strategy that takes it were spent: 'unsure' (1 daily)") in rows


def test_a_limit_that_was_taken_away_since_is_not_made_up(ran, desk):
    desk.write(strategies=(UNSURE.replace("name: unsure", "name: other"),))

    assert ("the limits of every strategy that takes it were spent: 'unsure'") in explained(
        ran, "cam/002.jpg"
    )


def test_an_invalid_frame_shows_what_was_wrong(ran, desk):
    rows = explained(ran, "cam/bad.jpg")

    assert rows[0].startswith("cam/bad.jpg invalid_image, decided ")
    assert rows[1].startswith(f"the image '{desk.frames / 'bad.jpg'}' is not a picture")
    assert len(rows) == 3


def test_the_end_of_a_name_is_enough(ran):
    assert explained(ran, "bad.jpg") == explained(ran, "cam/bad.jpg")


def test_several_frames_with_that_end_are_all_shown(ran):
    rows = explained(ran, ".jpg")

    assert [row.split()[0] for row in rows if ", decided " in row] == [
        "cam/000.jpg",
        "cam/001.jpg",
        "cam/002.jpg",
        "cam/bad.jpg",
    ]


def test_json_holds_everything(ran):
    found = ran("explain", "000.jpg", "--json").summary

    assert len(found) == 1
    assert found[0]["frame_id"] == "cam/000.jpg"
    assert found[0]["outcome"] == "accepted"
    assert found[0]["paid_by"] == "unsure"
    assert found[0]["detail"]["matching"] == ["unsure"]
    assert found[0]["deliveries"][0]["sink"] == "directory"
    assert found[0]["deliveries"][0]["state"] == "delivered"
    assert found[0]["origin"] == "the spool"


@pytest.mark.parametrize("frame", ["cam/999.jpg", "nothing", ""])
def test_an_unknown_frame_is_named_with_where_it_was_looked_for(ran, desk, frame):
    result = ran("explain", frame)

    assert result.status == 1
    assert result.err == (
        f"Error: frame {frame!r}: neither the spool '{desk.directory / '.al' / 'line'}' nor a "
        "manifest knows it: it was never offered, or offered by a program and not taken\n"
    )


def test_the_manifest_alone_explains_what_was_taken(ran, desk):
    shutil.rmtree(desk.directory / ".al")
    rows = explained(ran, "000.jpg")
    missing = ran("explain", "cam/001.jpg")

    assert rows[0] == "cam/000.jpg accepted, decided 2023-11-14 22:13:20+00:00"
    assert rows[2].startswith("unsure (paid) yes 0.75 1 0.")
    assert rows[3] == "sink 'directory': delivered"
    assert rows[4] == f"from {desk.directory / 'collected' / 'manifest.jsonl'}"
    assert missing.status == 1
    assert not (desk.directory / ".al").exists()


def test_the_manifest_prefers_the_exact_name_and_reads_any(al, desk):
    names = ["1", "11", 'süß "1"']
    for seed, stem in enumerate(names):
        desk.add_frame(stem, seed=seed)
    desk.write()
    al("run", "al.yaml")
    shutil.rmtree(desk.directory / ".al")
    with (desk.directory / "collected" / "manifest.jsonl").open("a") as manifest:
        manifest.write('["cam/1.jpg"]\n{"frame_id": "cam/1.jpg"}\n{"frame_id": "cam/1.jp')

    for stem in names:
        rows = explained(al, f"cam/{stem}.jpg")
        assert [row.split(" accepted")[0] for row in rows if ", decided " in row] == [
            f"cam/{stem}.jpg"
        ]
    assert len([r for r in explained(al, "1.jpg") if ", decided " in r]) == 2


def test_a_sink_without_a_manifest_explains_nothing(al, desk):
    desk.add_frames(1)
    desk.write(more="  - {type: 'null'}\n")

    assert al("explain", "000.jpg").status == 1


def test_another_configuration_is_named_with_an_option(ran, desk):
    (desk.directory / "al.yaml").rename(desk.directory / "other.yaml")

    assert ran("explain", "000.jpg").status == 2
    assert explained(ran, "000.jpg", "--config", "other.yaml")[0].startswith("cam/000.jpg accepted")


def test_explaining_on_a_damaged_index_does_not_reopen_the_limits(al, desk, still_clock):
    limited = "{name: all, type: random, traffic_percentage: 1, limits: [{type: daily, value: 2}]}"
    desk.add_frames(2)
    desk.write(strategies=(limited,))
    first = al("run", "al.yaml", "--json")
    (index,) = desk.directory.rglob("spool.db")
    index.write_bytes(b"no longer a database" * 100)
    for name in ("spool.db-wal", "spool.db-shm"):
        index.with_name(name).unlink(missing_ok=True)
    al("explain", "000.jpg")
    desk.add_frame("new", seed=9)
    second = al("run", "al.yaml", "--json")

    assert first.summary["counts"]["accepted"] == 2
    assert second.summary["counts"]["accepted"] == 0
    assert second.summary["counts"]["limited"] >= 1
