"""Roboflow's own answers: golden vectors made with inference 1.8.3 (see shared/vectors/README.md).

Cases whose types the schema forbids (a strategy that does not exist, tags that are null) never get
here: the configuration is refused. Of the others one deviation is allowed, decided from the input:

* ``no-empty-tag``: upstream adds an empty tag for a model whose name is empty; we add none.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from al_framework.pipeline.tagging import compose_tags, environment_tags

VECTORS = Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "tags.jsonl"


def well_formed(given):
    tags = [given["tags"], *(entry.get("tags", []) for entry in given["strategies"])]
    names = [entry["name"] for entry in given["strategies"]]
    return (
        all(value == "absent" or isinstance(value, list) for value in tags)
        and given["sampling_strategy"] in names
    )


def compose(given):
    environ = {}
    if given["env_tags"] is not None:
        environ["ACTIVE_LEARNING_TAGS"] = ",".join(given["env_tags"])
    tags = {entry["name"]: entry.get("tags", []) for entry in given["strategies"]}
    answer = compose_tags(
        environment=environment_tags(environ),
        configuration=[] if given["tags"] == "absent" else given["tags"],
        strategy=tags[given["sampling_strategy"]],
        model_id=given["model_id"],
        persist_predictions=given["persist_predictions"],
    )
    return list(answer)


@pytest.mark.skipif(not VECTORS.exists(), reason="the golden vectors are not part of this checkout")
def test_tags_are_composed_as_roboflow_does():
    counts = Counter()
    differences = []
    for line in VECTORS.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        given, expected = case["input"], case["expected"]
        if not well_formed(given):
            counts["refused-by-validation"] += 1
            continue
        answer = compose(given)
        if answer == expected:
            counts["equal"] += 1
        elif not given["model_id"] and given["persist_predictions"] and [*answer, ""] == expected:
            counts["no-empty-tag"] += 1
        else:
            differences.append((case["id"], given, expected, answer))

    assert [] == differences
    assert {"equal": 96, "no-empty-tag": 11, "refused-by-validation": 3} == dict(counts)
