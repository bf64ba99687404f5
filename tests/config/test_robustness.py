"""Whatever is written, nothing but a `ConfigurationError` comes out."""

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from al_framework.api import ConfigurationError
from al_framework.config.loading import load_configuration, plugin_switches, read_document

WORDS = """
name source sources predictor adapter active_learning sinks seed spool limits plugins type
batch_time_zone verify_images enabled persist_predictions sampling_strategies tags path only
batching_strategy max_image_size configuration api_key login logins headers crop labels retries
"""
KEYS = st.sampled_from(WORDS.split())
TYPES = st.sampled_from(["null", "shop", "warehouse", "folder", "model", "reader", "random", "x"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=2)
    | TYPES
    | st.sampled_from(["${KEY}", "${NOT}", "${", "file:x", "Europe/", "\ud800"])
)
DATA = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=4)
        | st.dictionaries(st.integers(), inner, max_size=2)
    ),
    max_leaves=12,
)
ENTRY = st.dictionaries(KEYS, DATA, max_size=3).flatmap(
    lambda options: TYPES.map(lambda name: {**options, "type": name})
)
RELAXED = settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def attempt(source, host):
    try:
        document = read_document(source)
        plugin_switches(document)
        load_configuration(document, host, environ={"KEY": "value"})
    except ConfigurationError as exc:
        message = str(exc)
    else:
        return

    assert "fault" in message


@RELAXED
@given(data=st.dictionaries(KEYS, DATA, max_size=6))
def test_arbitrary_mappings(host, data):
    attempt(data, host)


def _places(value: Any, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items if isinstance(value, dict | list) else ():
        yield from _places(item, (*path, key)) if isinstance(item, dict | list) else [(*path, key)]


@RELAXED
@given(data=st.data())
def test_a_good_document_with_anything_anywhere(host, good, data):
    document = copy.deepcopy(good)
    place = data.draw(st.sampled_from(list(_places(document))[1:]))
    target = document
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = data.draw(DATA | ENTRY)

    attempt(document, host)


@RELAXED
@given(entries=st.lists(ENTRY, max_size=3))
def test_known_types_with_arbitrary_options(host, good, entries):
    attempt({**good, "sinks": entries, "sources": entries}, host)


@RELAXED
@given(
    content=st.binary(max_size=60)
    | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace"))
)
def test_arbitrary_files(host, tmp_path, content):
    for suffix in ("yaml", "json", "toml"):
        path = tmp_path / f"al.{suffix}"
        path.write_bytes(content)
        attempt(path, host)


@RELAXED
@given(text=st.text(alphabet="ab:-?[]{}&*!|>'\"%@` \n\t#,1.~\\\ufeff\x85", max_size=40))
def test_arbitrary_yaml(host, tmp_path, text):
    path = tmp_path / "al.yaml"
    path.write_text(text, encoding="utf-8")
    attempt(path, host)
