"""The type names under which the block is offered.

Two loaded blocks with one name make every workflow of the server fail, ours or not. So the
canonical name carries our own, and the old bare one is given up as soon as somebody else has it.
"""

import importlib
import logging
import os
import typing
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

from al_framework_roboflow.inference_plugin import engine

CANONICAL: Final = "al_framework/active_learning_data_collector@v1"
BARE_ALIAS: Final = "ActiveLearningDataCollector"
SWITCH: Final = "AL_INFERENCE_BARE_ALIAS"

_PLUGINS = "WORKFLOWS_PLUGINS"
_OURS = __package__
_OFF = frozenset({"0", "false", "no", "off"})

logger = logging.getLogger(__name__)


def type_names() -> tuple[str, ...]:
    """Return the canonical name, and the bare one unless it is switched off or taken."""
    if os.environ.get(SWITCH, "1").strip().lower() in _OFF:
        return (CANONICAL,)
    if _owner_among(os.environ.get(_PLUGINS, "")) is not None:
        return (CANONICAL,)
    return (CANONICAL, BARE_ALIAS)


@cache
def _owner_among(plugins: str) -> str | None:
    """Return who else has the bare name; asked, and said, once for every list of plugins."""
    owner = owner_of(BARE_ALIAS, _other_blocks(plugins))
    if owner is not None:
        logger.warning(
            "the block type %r is taken by %s: ours is %r alone; set %s=0 to say so yourself",
            BARE_ALIAS,
            owner,
            CANONICAL,
            SWITCH,
        )
    return owner


def owner_of(name: str, blocks: Iterable[Any]) -> str | None:
    """Return which of these blocks is offered under a name, or None."""
    for block in blocks:
        field = block.get_manifest().model_fields.get("type")
        # The annotation is asked and not the schema, which would be built for every block.
        if field is not None and name in typing.get_args(field.annotation):
            return f"{block.__module__}.{block.__qualname__}"
    return None


def _other_blocks(plugins: str) -> Iterator[Any]:
    """Yield the blocks of the core, then those of the other plugins."""
    yield from engine.core_blocks()
    for module in plugins.split(","):
        if not module or module == _OURS:
            continue
        try:
            blocks = list(importlib.import_module(module).load_blocks())
            owner_of("", blocks)
        except Exception as exc:  # noqa: BLE001 - the engine loads it next and says what is wrong
            logger.debug("the plugin %r could not be asked for its names: %s", module, exc)
            continue
        yield from blocks
