"""Profiles say where the time goes, all of it."""

import re

import pytest
from click.testing import CliRunner

from benchmarks import profiles


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(profiles, "WARM_UP", 1)
    monkeypatch.setattr(profiles, "FRAMES", 4)


def shares(printed):
    return [int(share) for share in re.findall(r"\| (\d+)% \|$", printed, re.MULTILINE)]


def test_a_run_s_time_goes_into_functions_that_have_names(short):
    printed = CliRunner().invoke(profiles.main, ["offline-run"], catch_exceptions=False).output

    assert "JpegImagePlugin" in printed or "ImagingDecoder" in printed
    assert len(shares(printed)) == profiles.SHOWN + 1
    assert sum(shares(printed)) == pytest.approx(100, abs=profiles.SHOWN)


@pytest.mark.parametrize("case", ["accepted-jpeg", "accepted-array"])
def test_frames_that_are_taken_are_profiled_one_by_one(short, monkeypatch, case):
    sent = []

    def send(run):
        sent.append(run)

    monkeypatch.setattr(profiles.DryRun, "_send", send)
    printed = CliRunner().invoke(profiles.main, [case], catch_exceptions=False).output

    assert len(sent) == profiles.WARM_UP + profiles.FRAMES
    assert len(shares(printed)) == profiles.SHOWN + 1


def test_a_function_of_a_library_is_named_without_a_file():
    assert profiles._named("~", "<built-in method zlib.crc32>") == "zlib.crc32"
    assert profiles._named("/a/b/c.py", "d") == "b/c.py: d"
