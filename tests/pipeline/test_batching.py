from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from al_framework.pipeline.batching import batch_name, dated_name

WEDNESDAY = datetime(2024, 2, 28, 23, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("interval", "zone", "expected"),
    [
        ("never", UTC, "al"),
        ("daily", UTC, "al_2024_02_28"),
        ("weekly", UTC, "al_2024_02_26"),
        ("monthly", UTC, "al_2024_02_01"),
        ("daily", timezone(timedelta(hours=14)), "al_2024_02_29"),
        ("daily", timezone(timedelta(hours=-12)), "al_2024_02_28"),
        ("daily", ZoneInfo("Europe/Berlin"), "al_2024_02_29"),
    ],
)
def test_name_goes_by_the_calendar_of_the_zone(interval: Any, zone: Any, expected: str) -> None:
    assert expected == batch_name("al", interval, WEDNESDAY, zone)


def test_without_a_zone_the_local_calendar_of_the_process_counts() -> None:
    local = datetime.fromtimestamp(WEDNESDAY, UTC).astimezone().date()

    assert dated_name("al", "daily", local) == batch_name("al", "daily", WEDNESDAY, None)


@pytest.mark.parametrize(
    ("day", "monday"),
    [
        (date(2024, 12, 30), "2024_12_30"),
        (date(2025, 1, 5), "2024_12_30"),
        (date(2025, 1, 6), "2025_01_06"),
    ],
)
def test_weeks_start_on_monday_also_across_years(day: date, monday: str) -> None:
    assert f"p_{monday}" == dated_name("p", "weekly", day)


def test_clock_changes_do_not_shift_the_day() -> None:
    zone = ZoneInfo("Europe/Berlin")
    before = datetime(2024, 3, 31, 0, 59, tzinfo=UTC).timestamp()

    assert batch_name("p", "daily", before, zone) == batch_name("p", "daily", before + 120, zone)


def test_another_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="batches cannot be recreated 'yearly': use 'never', 'da"):
        dated_name("p", "yearly", date(2024, 1, 1))  # type: ignore[arg-type] # the point of it
