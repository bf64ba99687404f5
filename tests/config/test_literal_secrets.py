import json
import logging

import pytest

WARNING = (
    "sinks[0].api_key: a secret stands in the file itself: write ${NAME} for a variable of the"
    " environment, or file:PATH"
)


@pytest.fixture
def warnings(good, load, tmp_path, caplog):
    """Return what loading a configuration with such a key warns of."""

    def run(key, *, as_file=True):
        (tmp_path / "key").write_text("secret")
        good["sinks"] = [{"type": "shop", "api_key": key}]
        path = tmp_path / "al.json"
        path.write_text(json.dumps(good))
        with caplog.at_level(logging.WARNING, logger="al_framework.config"):
            load(path if as_file else good, KEY="secret")
        return [record.getMessage() for record in caplog.records]

    return run


def test_a_key_in_a_file_that_people_share_is_warned_of(warnings):
    assert warnings("literal") == [WARNING]


@pytest.mark.parametrize("key", ["${KEY}", "Bearer ${KEY}", "file:key", None])
def test_a_reference_is_not(warnings, key):
    assert warnings(key) == []


@pytest.mark.parametrize(
    ("address", "count"), [("redis://localhost:6379/0", 0), ("redis://:pass@localhost:6379/0", 1)]
)
def test_an_address_is_a_secret_if_it_holds_a_password(
    good, load, tmp_path, caplog, *, address, count
):
    good["limits"] = {"ledger": "redis", "redis_url": address}
    (tmp_path / "al.json").write_text(json.dumps(good))
    with caplog.at_level(logging.WARNING, logger="al_framework.config"):
        load(tmp_path / "al.json")

    said = [record.getMessage() for record in caplog.records]
    assert said == [WARNING.replace("sinks[0].api_key", "limits.redis_url")] * count


def test_a_key_that_a_program_passes_is_not(warnings):
    assert warnings("literal", as_file=False) == []
