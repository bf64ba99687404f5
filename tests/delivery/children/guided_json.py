"""Documents as seeds and words of guided fuzzing."""

import json


def json_bytes(value):
    return json.dumps(value).encode()


def keys_of(value):
    """Return every key of a document once, quoted as JSON has it; always in the same order."""
    return tuple(dict.fromkeys(_keys(value)))


def _keys(value):
    if isinstance(value, dict):
        yield from map(json_bytes, value)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _keys(item)
