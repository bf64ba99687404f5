"""What tells the collectors of a pool apart, and what each of them is configured with.

Everything a tenant may write is taken literally: in a configuration file ``${NAME}`` and
``file:PATH`` stand for the machine's own secrets.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from al_framework.api import AlFrameworkError, Fault
from al_framework_roboflow.connection import is_readable_on_the_way
from al_framework_roboflow.entries import shown

_KEY = re.compile(r"[!-~]{1,512}")
_DATASET = re.compile(r"[^/?#\s]{1,256}")
_HASH_BYTES = 8


class PoolError(AlFrameworkError):
    """A pool has no collector to give.

    Attributes:
        faults: What is wrong with the configuration, where that is the reason.
    """

    def __init__(self, message: str, *, faults: Sequence[Fault] = ()) -> None:
        self.faults = tuple(faults)
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorKey:
    """Who collects into which dataset, by which rules.

    Attributes:
        tenant: Hash of the API key; stands for it in names.
        dataset: The target project.
        configuration_hash: Hash of the document, or of its absence.
        api_key: The API key.
        configuration: The document, to be taken literally; None: fetched from the project.
    """

    tenant: str
    dataset: str
    configuration_hash: str
    api_key: SecretStr
    configuration: Mapping[str, Any] | None = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """A name for directories and messages, different for every key."""
        return f"{self.place}-{self.configuration_hash}"

    @property
    def place(self) -> str:
        """A name for the spool, the same for every configuration of one key and dataset.

        So limits go on when a document changes, and what an earlier one left is delivered.
        """
        words = re.sub(r"[^A-Za-z0-9]+", "-", self.dataset).strip("-")[:24] or "dataset"
        return f"{words}-{_digest(f'{self.tenant}{self.dataset}')}"

    def redacted(self, text: str) -> str:
        """Return the text without the API key."""
        return text.replace(self.api_key.get_secret_value(), "***")


def make_key(api_key: SecretStr, target_dataset: object, configuration: object) -> CollectorKey:
    """Return what tells one collector from all others.

    Args:
        api_key: The API key.
        target_dataset: Short name of the project.
        configuration: An Active Learning document, or None. It is copied, and checked later.

    Raises:
        PoolError: One of the three cannot be what it should be.
    """
    # The key itself is in no variable here: some tracebacks print those.
    if not _is_plain(api_key):
        raise PoolError(
            "the API key is no key of Roboflow: pass the key itself, without blanks or a reference"
        )
    if not isinstance(target_dataset, str) or not _DATASET.fullmatch(target_dataset):
        raise PoolError(
            f"the target dataset is {shown(target_dataset)}: pass the short name of a project, "
            "without workspace and version"
        )
    if configuration is not None and not isinstance(configuration, Mapping):
        raise PoolError(
            f"the configuration is of type {type(configuration).__name__!r}: pass a Roboflow "
            "Active Learning document, or none to have it fetched"
        )
    try:
        literal = None if configuration is None else _literal(configuration)
        canonical = json.dumps(literal, sort_keys=True, separators=(",", ":"), default=repr)
    except (TypeError, ValueError, RecursionError):
        raise PoolError(
            "the configuration is no plain document: it holds itself, or keys that are not text"
        ) from None
    return CollectorKey(
        tenant=_digest(api_key.get_secret_value()),
        dataset=target_dataset,
        configuration_hash=_digest(canonical),
        api_key=api_key,
        configuration=literal,
    )


def collection_document(
    key: CollectorKey,
    *,
    api_url: str,
    spool_root: Path,
    sinks: Sequence[Mapping[str, object]] | None,
) -> dict[str, Any]:
    """Return the whole configuration of one collector.

    Args:
        key: Whose it is.
        api_url: Where Roboflow's API is.
        spool_root: Directory of all spools.
        sinks: Other sinks than Roboflow. ``{collector}`` in a text becomes a name for
            key and dataset, so that tenants do not share a directory; a sink of type ``roboflow``
            is given the project, the key and the address unless it states them.
    """
    account: dict[str, Any] = {
        "project": _literal(key.dataset),
        "api_key": key.api_key.get_secret_value(),
        "api_url": api_url,
    }
    if is_readable_on_the_way(api_url):
        account["allow_insecure"] = True  # the address is the decision of whoever made the pool
    document: dict[str, Any] = {
        "name": key.name,
        "adapter": {"type": "roboflow_response"},
        "spool": {"path": _literal(str(spool_root / key.place))},
        "sinks": [
            {**(account if sink.get("type") == "roboflow" else {}), **_named(sink, key.place)}
            for sink in sinks or [{"type": "roboflow"}]
        ],
    }
    if key.configuration is None:
        document["configuration"] = {"type": "roboflow", **account}
    else:
        document["active_learning"] = key.configuration
    return document


def _is_plain(api_key: SecretStr) -> bool:
    text = api_key.get_secret_value()
    return _KEY.fullmatch(text) is not None and "${" not in text and not text.startswith("file:")


def _named(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _named(item, name) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_named(item, name) for item in value]
    return value.replace("{collector}", name) if isinstance(value, str) else value


def _literal(value: Any) -> Any:
    """Return a copy of the document in which nothing refers to the environment."""
    if isinstance(value, Mapping):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_literal(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


def _digest(text: str) -> str:
    data = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=_HASH_BYTES, person=b"al-pool").hexdigest()
