"""What is asked with: the same frames each time, and cases that do what they say."""

import importlib
import sys

import numpy as np
import pytest

from al_framework.testing import sample_frame
from benchmarks import __main__ as main
from benchmarks import frames, rejected_frame
from benchmarks.collecting import collector
from benchmarks.limit_spent import document

SMALL = (64, 48)


def test_every_question_of_these_can_be_asked():
    assert {"rejected_frame", "limit_spent", "handoff"} <= {*main.QUESTIONS}
    assert {"comparing", "frames", "peers"}.isdisjoint(main.QUESTIONS)
    for question in ("rejected_frame", "limit_spent"):
        assert callable(importlib.import_module(f"benchmarks.{question}").run)


def test_a_photograph_is_the_same_each_time():
    first = frames.photograph(SMALL)
    frames.photograph.cache_clear()

    assert first == frames.photograph(SMALL)
    assert (48, 64, 3) == frames.pixels(SMALL).shape


def test_without_photographs_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    frames.photograph.cache_clear()

    with pytest.raises(SystemExit, match=r"are photographs of scikit-image .*: pip install scikit"):
        frames.photograph(SMALL)


@pytest.mark.parametrize("count", [0, 3])
def test_typed_arrays_say_what_the_response_says(count):
    with collector(frames.document(frames.strategies(4))) as opened:
        adaptation = opened._engine._adaptation
        given = frames.response(SMALL, detections=count)
        [(_, read)] = adaptation.read(given, sample_frame(), frames.TASK)
        typed = frames.arrays(SMALL, detections=count)

        assert (read.class_name, read.confidence.tolist()) == (
            typed.class_name,
            typed.confidence.tolist(),
        )
        assert np.allclose(read.xyxy, typed.xyxy)
        assert (count, 4) == read.xyxy.shape == typed.xyxy.shape


@pytest.mark.parametrize("count", rejected_frame.COUNTS)
@pytest.mark.parametrize("strategies", rejected_frame.STRATEGIES)
def test_sure_detections_are_rejected_by_every_number_of_strategies(count, strategies):
    with collector(frames.document(frames.strategies(strategies))) as opened:
        given = frames.response(SMALL, detections=count)
        ticket = opened.submit(frames.pixels(SMALL), given, prediction_type=frames.TASK)

        assert "not_selected" == ticket.status
        assert strategies == len(opened.stats().strategies)


def test_the_second_frame_of_a_day_finds_the_limit_spent():
    with collector(document(None)) as opened:
        given = frames.response(SMALL, confidence=0.4)

        def submit():
            taken = opened.submit(
                frames.pixels(SMALL), given, prediction_type=frames.TASK, wait_accepted_s=60.0
            )
            return taken.status

        assert ["accepted", "limited"] == [submit(), submit()]
