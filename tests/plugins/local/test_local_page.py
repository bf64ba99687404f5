"""The page of a collection: its cards and its funnel, safe to open whatever was collected."""

import html.parser
import re
from pathlib import Path

import numpy as np
import pytest

from al_framework.api import (
    Classification,
    Counts,
    RunInfo,
    RunSummary,
    SinkCounts,
    StrategyCounts,
    Unlabelled,
)
from al_framework.testing.fakes import FakeCheckpoint
from al_framework_local.page import write_page
from al_framework_local.page.text import cells, grouped, moment, shortened

SIZE = (64, 48)
HOSTILE = "<script>alert('x')</script>\"&\u202e"


class Outline(html.parser.HTMLParser):
    """What a browser would make of the page: its elements and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        if self.tags[-1:] != ["style"]:
            self.text += f" {data}"


def summary_of(counts: Counts = Counts(), **changes: object) -> RunSummary:  # noqa: B008 - frozen
    run = RunInfo(run_id="01J", name="line-3", configuration_hash="c0ffee", seed=77, started_at=0.0)
    return RunSummary(**{"run": run, "finished_at": 1_700_000_000.0, "counts": counts, **changes})


def test_the_sink_writes_the_page_when_a_run_ends(tmp_path, sink, datapoint):
    sink.deliver(datapoint(1), FakeCheckpoint())
    sink.finish_run(summary_of())

    assert "cam/img_1.png" in (tmp_path / "collected" / "index.html").read_text()


def test_a_run_that_saw_nothing_leaves_the_page_of_the_last_that_did(tmp_path, sink, datapoint):
    page = tmp_path / "collected" / "index.html"
    idle = RunSummary(
        run=summary_of().run, finished_at=0.0, counts=Counts(skipped=3), problems=("idle",)
    )
    sink.finish_run(idle)
    first = page.read_text(encoding="utf-8")
    sink.deliver(datapoint(1), FakeCheckpoint())
    sink.finish_run(summary_of(Counts(offered=1, accepted=1)))
    told = page.read_text(encoding="utf-8")
    sink.finish_run(idle)

    assert "idle" in first
    assert "idle" not in told
    assert page.read_text(encoding="utf-8") == told


def test_the_page_shows_as_many_pictures_as_the_options_say(tmp_path, new_sink, datapoint):
    sink = new_sink(page_images=2)
    sink.start()
    for number in range(3):
        sink.deliver(datapoint(number), FakeCheckpoint())
    sink.finish_run(summary_of())
    text = (tmp_path / "collected" / "index.html").read_text(encoding="utf-8")

    assert [n for n in range(3) if f"cam/img_{n}.png" in text] == [1, 2]


def test_the_page_can_be_switched_off(tmp_path, new_sink):
    sink = new_sink(page=False)
    sink.start()
    sink.finish_run(summary_of())

    assert not (tmp_path / "collected" / "index.html").exists()


def test_the_page_asks_for_nothing_outside_itself(page, boxes):
    text = page(boxes((1, 2, 30, 40, 0.412, "cat")), None)
    outline = Outline(text)

    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    assert {"script", "link", "iframe", "object", "embed", "base"}.isdisjoint(outline.tags)
    references = [
        (tag, value)
        for tag, name, value in outline.attributes
        if name in {"src", "href", "xlink:href", "action", "data", "srcset", "style"}
    ]
    assert all(
        value.startswith("data:image/jpeg;base64,")
        if tag == "image"
        else tag in {"a", "i"} and "://" not in value and "url(" not in value
        for tag, value in references
    )
    assert "http" not in re.sub(r"base64,[^\"]*|http-equiv", "", text)


def test_a_card_says_what_was_seen_and_why_it_was_taken(page, datapoint, boxes):
    text = Outline(page(boxes((1, 2, 30, 40, 0.412, "cat"), (1, 2, 30, 40, 0.3, "cat")))).text
    key = datapoint(0).content_key[:8]

    for words in (
        "cam/img_0.png",
        "cat 0.41",
        "0.30\u20130.41",
        "\u00d72",
        "hard",
        "utility 0.25, probability 0.5",
        "cat 0.412 is near 0.4",
        "also wanted by random",
        "batch al_batch_2023_11_14",
        "night",
        "line-3",
        "2023-11-14 22:13 UTC",
        "64\u00d748",
    ):
        assert words in text
    assert f'href="images/img_0-{key}.jpg"' in page()


def test_names_from_anywhere_stay_text(page, boxes):
    prediction = boxes((1, 2, 30, 40, 0.4, HOSTILE))
    label = Classification(
        class_name=(HOSTILE,), confidence=np.array([0.5]), image_size=SIZE, top=HOSTILE
    )
    text = page(
        prediction,
        label,
        summary=summary_of(
            Counts(strategies={HOSTILE: StrategyCounts()}, dropped={HOSTILE: 1}),
            problems=(HOSTILE,),
            run=RunInfo(
                run_id=HOSTILE, name=HOSTILE, configuration_hash=HOSTILE, seed=1, started_at=0.0
            ),
        ),
        frame_id=HOSTILE,
        reason=HOSTILE,
        strategy=HOSTILE,
        tags=(HOSTILE,),
        batch_name=HOSTILE,
    )
    outline = Outline(text)

    assert "script" not in outline.tags
    assert "<script" not in text
    assert "\u202e" not in text
    assert outline.text.count("<script>alert('x')</script>\"&\ufffd") >= 8


def test_the_newest_come_first_and_the_rest_is_counted(page):
    text = Outline(page(None, None, None, None, limit=3)).text

    assert text.index("img_3.png") < text.index("img_2.png") < text.index("img_1.png")
    assert "img_0.png" not in text
    assert "1 more in images/, listed in manifest.jsonl" in text


def test_lines_that_cannot_be_read_are_passed_over(tmp_path, page):
    page(None)
    with (tmp_path / "collected" / "manifest.jsonl").open("a") as stream:
        stream.write("garbage\n")
    text = Outline(page()).text

    assert "1 picture collected" in text
    assert "more in images/" not in text


def test_a_collection_of_nothing_has_a_page(tmp_path, page):
    assert "Nothing has been collected yet" in page(summary=summary_of())
    (tmp_path / "empty").mkdir()
    assert "Nothing has been collected yet" in write_page(tmp_path / "empty", None).read_text()


@pytest.mark.parametrize("fault", ["gone", "broken"])
def test_a_picture_that_is_not_there_costs_its_thumbnail_only(tmp_path, page, fault, boxes):
    page(boxes((1, 2, 30, 40, 0.4, "cat")))
    (picture,) = (tmp_path / "collected" / "images").iterdir()
    if fault == "gone":
        picture.unlink()
    else:
        picture.write_bytes(b"\xff\xd8\xff garbage")
    text = page()

    assert "the picture is not there" in text
    assert "cat 0.40" in text


def test_what_is_no_detection_says_so(page, boxes):
    text = Outline(page(boxes(), Unlabelled(), None)).text

    assert text.count("nothing found") == 1
    assert text.count("no prediction") == 2


def test_a_classification_shows_its_best_classes_with_the_chosen_first(page):
    names = ("a", "b", "c", "d", "e")
    scores = np.array([0.1, 0.5, 0.2, 0.15, 0.05])
    text = page(
        Classification(
            class_name=names, confidence=scores, image_size=SIZE, top="d", top_confidence=0.61
        ),
        Classification(class_name=names, confidence=scores, image_size=SIZE, predicted=("e",)),
    )
    chosen = re.findall(r'class="chosen"><span>(\w)</span>.*?width:([\d.]+)%', text)

    assert chosen == [("e", "5.0"), ("d", "61.0")]
    assert text.count("<li><span>b</span>") == 2


def test_a_crowd_keeps_its_picture_and_lists_its_classes(page, boxes):
    rng = np.random.default_rng(1)
    rows = [
        (*xy, *(xy + 12), 0.5, f"class {i % 11}")
        for i, xy in enumerate(rng.uniform(0, 30, (250, 2)))
    ]
    text = page(boxes(*rows))

    assert 1 < text.count('class="label"') <= 12
    assert text.count('class="box"') == 200
    assert "3 more classes" in Outline(text).text


def test_the_funnel_adds_up(page):
    strategies = {
        "hard": StrategyCounts(evaluated=1200, matched=60, selected=50, paid=30, not_eligible=2),
        "random": StrategyCounts(failed=20, disabled=True),
    }
    counts = Counts(
        offered=1234,
        matched=50,
        not_selected=1180,
        limited=12,
        accepted=38,
        queued=1,
        dropped={"invalid_image": 3, "spool_full": 0},
        skipped=7,
        strategies=strategies,
        sinks={
            "store": SinkCounts(
                accepted=38, recovered=2, delivered=36, duplicates=1, pending=3, dead=1
            )
        },
    )
    text = Outline(page(None, summary=summary_of(counts, interrupted=True))).text

    for words in (
        "last run interrupted 2023-11-14 22:13 UTC",
        "run 01J \u00b7 configuration c0ffee \u00b7 seed 77",
        "7 skipped, done before",
        "1\u202f180 not selected",
        "refused, limit spent",
        "3 invalid image",
        "1 still queued",
        "1 already there, 3 pending, 1 given up",
        "1\u202f234 seen = 1\u202f180 not selected + 12 limited + 38 accepted + 1 queued",
        "38 accepted + 2 left by earlier runs = 36 delivered + 3 pending + 1 given up",
        "switched off",
    ):
        assert words in text
    bars = re.findall(r"(seen|matched|limited|dropped|accepted|delivered) +([\d\u202f]+)", text)
    expected = ["1\u202f234", "50", "12", "3", "38", "36"]
    assert expected == [number for _, number in bars][:6]


def test_a_run_of_nothing_has_a_funnel_too(page):
    text = Outline(page(summary=summary_of())).text

    assert "0 seen = 0" in text
    assert "delivered" not in text


def test_many_problems_are_folded(page):
    text = page(summary=summary_of(problems=tuple(f"problem {i}" for i in range(6))))

    assert "<summary>1 more problem</summary><ul><li>problem 5</li></ul>" in text
    assert "<details>" not in page(summary=summary_of(problems=("one",)))


def test_two_runs_show_the_cards_of_both_and_the_funnel_of_the_last(page):
    page(None, summary=summary_of(Counts(offered=111)))
    text = Outline(page(None, None, summary=summary_of(Counts(offered=222)))).text

    assert "img_0.png" in text
    assert "img_1.png" in text
    assert "222 seen" in text
    assert "111" not in text


def test_texts_are_short_and_safe():
    assert (cells("a日"), shortened("日本語", 5), shortened("abc", 3)) == (3, "日本…", "abc")
    assert grouped(1_234_567) == "1\u202f234\u202f567"
    assert moment(1e20) == "1e+20 s"


def test_the_page_is_replaced_at_once(tmp_path, page, monkeypatch):
    before = page(None)

    def fail(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("al_framework_local.durable.write_all", fail)
    with pytest.raises(OSError, match=r"No space left"):
        write_page(tmp_path / "collected", None)

    assert before == (tmp_path / "collected" / "index.html").read_text(encoding="utf-8")
    assert not list(Path(tmp_path / "collected").glob("*.partial"))
