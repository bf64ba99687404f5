"""The command `al dead`: letters are listed, shown, tried again and dropped."""

import io
import re

import pytest

from al_framework.cli._dead_report import PutBack, show_put_back
from al_framework.cli._wording import plain_console
from al_framework.pipeline.spool.dead import DeadLetter

LIMITED = "{name: all, type: random, traffic_percentage: 1, limits: [{type: daily, value: 3}]}"


def rows(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def group_files(desk):
    return sorted((desk.directory / ".al" / "line" / "obj").rglob("*.als"))


def corrupt(desk):
    for path in group_files(desk):
        content = bytearray(path.read_bytes())
        for start in re.finditer(b"\xff\xd8\xff", bytes(content)):  # each picture of the group
            content[start.start() + 10] ^= 0xFF
        path.write_bytes(content)


def test_the_list_shows_each_letter_with_its_reason_and_the_total(refused, letters):
    result = refused("dead", "list")
    found = rows(result.out)
    first = found.index(f"{letters[0]['item_id']} sink 'picky', 2023-11-14 22:13:20 UTC")

    assert result.status == 0
    assert found[first + 1] == f"frame {letters[0]['frame_id']!r}, batch 'al'"
    assert found[first + 2].endswith(" KiB, given up after 1 attempt")
    assert found[first + 3] == "it wants no cats"
    assert found[-3].startswith("3 dead letters, ")
    assert found[-2:] == ["sink 'picky': 3", "try again: al dead retry --all -c al.yaml"]


def test_the_list_as_json_holds_all_letters(letters):
    assert [letter["sink"] for letter in letters] == ["picky"] * 3
    assert sorted(letter["frame_id"] for letter in letters) == [
        "cam/000.jpg",
        "cam/001.jpg",
        "cam/002.jpg",
    ]
    assert {letter["reason"] for letter in letters} == {"it wants no cats"}


def test_the_list_is_cut_off_and_the_total_is_not(refused):
    found = rows(refused("dead", "list", "--limit", "1").out)

    assert len([row for row in found if row == "it wants no cats"]) == 1
    assert [row for row in found if row.startswith("3 dead letters, ")]
    assert "shown: the latest 1; --limit 0 shows all" in found
    assert not [row for row in rows(refused("dead", "list").out) if row.startswith("shown")]


def test_without_dead_letters_the_list_says_so(refused):
    assert refused("dead", "list", "--sink", "directory").out == "no dead letters\n"


def test_a_letter_is_shown_by_any_end_of_its_name(refused, letters):
    name = letters[1]["item_id"]
    whole, ending = refused("dead", "show", name), refused("dead", "show", name[-5:])
    found = rows(whole.out)

    assert whole.status == 0
    assert whole.out == ending.out
    assert found[0] == f"{name} sink 'picky', 2023-11-14 22:13:20 UTC"
    assert found[3] == "it wants no cats"
    assert found[4].startswith("picture 64 x 48, ")
    assert found[5].startswith("decided 2023-11-14 22:13:20 UTC by 'all': ")


def test_a_letter_with_a_prediction_and_tags_shows_them(al, desk, moody, still_clock):
    moody("refuses")
    desk.add_frames(1, confidence=lambda _: 0.5)
    tagged = "{name: all, type: random, traffic_percentage: 1, limits: [], tags: [night, wet]}"
    desk.write(strategies=(tagged,), more="  - {name: picky, type: moody}\n")
    al("run", "al.yaml")
    (letter,) = al("dead", "list", "--json").summary
    found = rows(al("dead", "show", letter["item_id"]).out)

    assert [row for row in found if row.startswith("tags ") and "night, wet" in row]
    assert "1 detection of a model without a name" in found


def test_a_letter_as_json_holds_the_datapoint(refused, letters):
    said = refused("dead", "show", letters[0]["item_id"], "--json").summary

    assert said["item_id"] == letters[0]["item_id"]
    assert said["datapoint"]["frame_id"] == letters[0]["frame_id"]
    assert said["sinks"] == [
        {
            "sink": "picky",
            "reason": "it wants no cats",
            "attempts": 1,
            "ended_at": 1_700_000_000.0,
        }
    ]


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_a_letter_whose_picture_is_damaged_is_shown_as_far_as_it_goes(
    refused, letters, desk, option
):
    corrupt(desk)
    result = refused("dead", "show", letters[0]["item_id"], *option)

    assert result.status == 1
    assert "it wants no cats" in result.out
    assert f"dead letter '{letters[0]['item_id']}' cannot be read: " in result.out


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("nothing", "Error: there is no dead letter 'nothing': al dead list shows those that "),
        ("", "Error: '' may be any of 3 dead letters, such as '"),
    ],
)
def test_a_name_that_fits_none_or_several_is_refused(refused, item, message):
    result = refused("dead", "show", item)

    assert result.status == 1
    assert result.err.startswith(message)


def test_letters_that_are_tried_again_are_delivered(refused, letters, desk, moody):
    moody("fine")
    result = refused("dead", "retry", letters[0]["item_id"])
    rest = refused("dead", "retry", "--all", "--json")
    drained = refused("spool", "drain", "--json")

    assert (result.status, rest.status, drained.status) == (0, 0, 0)
    assert result.out == "1 dead letter put back to be delivered\n"
    assert rest.summary == {"retried": 2, "limited": 0, "strangers": []}
    assert drained.summary["sinks"]["picky"] == {
        "delivered": 3,
        "dead": 0,
        "pending": 0,
        "reason": "",
    }


def test_retrying_all_of_a_sink_leaves_the_others(refused):
    assert refused("dead", "retry", "--sink", "directory", "--json").summary["retried"] == 0
    assert len(refused("dead", "list", "--json").summary) == 3


def test_letters_of_a_sink_of_the_past_are_left_for_it(refused, desk):
    desk.write()
    result = refused("dead", "retry", "--all")

    assert result.status == 1
    assert result.out.splitlines() == [
        "0 dead letters put back to be delivered",
        "sink 'picky' is not configured: its dead letters stay",
    ]
    assert len(refused("dead", "list", "--json").summary) == 3


def test_a_letter_without_a_credit_stays_dead_and_that_is_said(al, desk, moody, still_clock):
    moody("refuses")
    desk.add_frames(3)
    desk.write(strategies=(LIMITED,))
    text = (desk.directory / "al.yaml").read_text()
    alone = text.replace("{type: directory, path: collected}", "{name: picky, type: moody}")
    (desk.directory / "al.yaml").write_text(alone)
    al("run", "al.yaml")
    (desk.directory / "al.yaml").write_text(alone.replace("value: 3", "value: 1"))
    result = al("dead", "retry", "--all")

    assert result.status == 1
    assert result.out.splitlines() == [
        "1 dead letter put back to be delivered",
        (
            "2 dead letters left as they are: the limits of their strategies are spent; try again"
            " in the next window"
        ),
    ]


def test_retrying_needs_limits_that_are_known(refused, monkeypatch):
    monkeypatch.setattr("al_framework.assembly.building.Planner.plan", lambda *_, **__: None)
    result = refused("dead", "retry", "--all")

    assert result.status == 1
    assert result.err == (
        "Error: -c al.yaml: its limits come from a server and no document of it is kept, so nobody"
        " knows whether there is room for more; run it once, then try again\n"
    )


def test_one_letter_that_stays_is_told_in_the_singular(capsys):
    show_put_back(plain_console(), PutBack(retried=0, limited=1, strangers=()))

    assert capsys.readouterr().out.splitlines()[1] == (
        "1 dead letter left as it is: the limit of its strategy is spent; try again in the next"
        " window"
    )


@pytest.mark.parametrize("command", ["retry", "drop"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say which: name dead letters, or give --sink NAME or --all"),
        (("--all", "some"), "give names or --all, not both"),
    ],
)
def test_which_letters_are_meant_must_be_said(refused, command, arguments, message):
    result = refused("dead", command, *arguments)

    assert result.status == 2
    assert message in result.err


def test_all_may_be_narrowed_to_a_sink(refused):
    of_another = refused("dead", "drop", "--all", "--sink", "directory", "--yes", "--json")
    of_this = refused("dead", "drop", "--all", "--sink", "picky", "--yes", "--json")

    assert of_another.summary == {"dropped": 0}
    assert of_this.summary == {"dropped": 3}


@pytest.mark.parametrize(
    ("sink", "hint"),
    [("pickey", "did you mean 'picky'?"), ("x", "known sinks: 'directory', 'picky'")],
)
@pytest.mark.parametrize(
    "command",
    ["list", "list --spool .al/line", "retry", "drop --yes", "export out"],
)
def test_a_sink_that_there_is_not_is_refused_with_those_that_there_are(
    refused, desk, command, sink, hint
):
    result = refused("dead", *command.split(), "--sink", sink)

    assert result.status == 2
    assert f"there is no sink '{sink}' in '" in result.err
    assert f"line': {hint}\n" in result.err
    assert not (desk.directory / "out").exists()


def test_a_sink_without_anything_left_is_still_known_without_a_configuration(refused):
    assert refused("dead", "drop", "--sink", "picky", "--yes").status == 0

    empty = refused("dead", "list", "--sink", "picky", "--spool", ".al/line")

    assert (empty.status, empty.out) == (0, "no dead letters\n")


def test_letters_are_dropped_after_a_yes(refused, letters, desk, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    asked = refused("dead", "drop", "--all")
    kept = len(refused("dead", "list", "--json").summary)
    one = refused("dead", "drop", letters[0]["item_id"], "--yes")
    rest = refused("dead", "drop", "--sink", "picky", "--yes", "--json")

    assert asked.status == 1
    assert "remove 3 dead letters with all pictures, for good? [y/N]: " in asked.err
    assert kept == 3
    assert one.out == "1 dead letter removed\n"
    assert rest.summary == {"dropped": 2}
    assert group_files(desk) == []
    assert refused("dead", "drop", "--all").out == "0 dead letters removed\n"


@pytest.fixture
def letter(refused, letters):
    return DeadLetter(**letters[0])


def test_the_group_says_what_the_exit_status_means(al):
    help_text = al("dead", "--help").out

    assert "Exit status: 0 done, 1 something could not be read, written or put" in help_text
