"""Batch names against the public vectors."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from al_framework.pipeline.batching import dated_name

_VECTORS = Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "batch_names.jsonl"

pytestmark = pytest.mark.skipif(not _VECTORS.exists(), reason="the shared vectors are not here")


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in _VECTORS.read_text().splitlines()]


def test_names_are_those_of_the_vectors() -> None:
    same = refused = forbidden = 0
    for row in rows():
        prefix = row["input"]["batches_name_prefix"]
        interval = row["input"]["recreation_interval"]
        today = datetime.fromisoformat(row["input"]["local_now"]).date()
        if not isinstance(prefix, str):  # the schema forbids it
            forbidden += 1
        elif isinstance(row["expected"], dict):
            with pytest.raises(ValueError, match=r"batches cannot be recreated .*: use 'never'"):
                dated_name(prefix, interval, today)
            refused += 1
        else:
            assert row["expected"] == dated_name(prefix, interval, today), row["id"]
            same += 1

    assert (same, refused, forbidden) == (489, 4, 2)
