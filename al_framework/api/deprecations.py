"""Everything of the plugin API that is on its way out: one constant for each, all in this module.

At the moment that is nothing. What is deprecated stays for as long as `docs/plugin-api-policy.md`
promises, works as before, and warns with the file and line of the plugin that uses it:

- a name of `al_framework.api`: a row of `NAMES`;
- a hook, or one argument of it: ``@hookspec(warn_on_impl=CONSTANT)``, ``warn_on_impl_args``;
- an option: ``Field(deprecated=str(CONSTANT))``;
- anything that is called: ``warnings.warn(CONSTANT, stacklevel=2)``.

.. versionadded:: 0.1
"""

import importlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class PluginApiDeprecationWarning(DeprecationWarning):
    """A plugin uses something that will be gone.

    Attributes:
        what: What it uses.
        since: Version of al-framework that deprecated it.
        removed_in: Version that will be without it.
        instead: What to do.
    """

    def __init__(self, what: str, *, since: str, removed_in: str, instead: str) -> None:
        self.what = what
        self.since = since
        self.removed_in = removed_in
        self.instead = instead
        super().__init__(
            f"{what} is deprecated since al-framework {since} and gone in {removed_in}: {instead}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerName:
    """A name that `al_framework.api` has had.

    Attributes:
        warning: What is said to those who import it.
        home: Where the object is found, as ``module:attribute``.
    """

    warning: PluginApiDeprecationWarning
    home: str


NAMES: Mapping[str, FormerName] = MappingProxyType({})


def find_former_name(name: str, names: Mapping[str, FormerName] = NAMES) -> object:
    """Return what a former name of `al_framework.api` stands for, and warn whoever imports it.

    To be called by the module's ``__getattr__``.

    Raises:
        AttributeError: There has never been such a name, or it is gone.
    """
    former = names.get(name)
    if former is None:
        raise AttributeError(f"module 'al_framework.api' has no attribute {name!r}")
    warnings.warn(former.warning, stacklevel=3)
    module, _, attribute = former.home.partition(":")
    found: object = getattr(importlib.import_module(module), attribute)
    return found
