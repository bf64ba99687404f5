"""Compose the tags of a datapoint.

Source: Roboflow inference 1.8.3, observed: environment, configuration, paying strategy, then the
model id, in this order and not de-duplicated.
"""

from collections.abc import Mapping, Sequence


def environment_tags(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the tags of ``ACTIVE_LEARNING_TAGS``, a comma-separated list."""
    value = environ.get("ACTIVE_LEARNING_TAGS", "")
    return tuple(tag.strip() for tag in value.split(",") if tag.strip())


def compose_tags(
    *,
    environment: Sequence[str],
    configuration: Sequence[str],
    strategy: Sequence[str],
    model_id: str | None,
    persist_predictions: bool,
) -> tuple[str, ...]:
    """Return the tags in order; the model's tag only where its predictions are kept."""
    if not persist_predictions or model_id is None:
        return (*environment, *configuration, *strategy)
    # An empty name is a name to Roboflow; the engine lets none through.
    return (*environment, *configuration, *strategy, model_id.replace("/", "-"))
