import importlib
import importlib.metadata
import sys
import textwrap
from contextlib import contextmanager

import pytest

from al_framework.host import PluginHost

SINK = """
from al_framework.api import Options, Receipt, Sink, Strategy, Verdict, hookimpl

class {name}(Sink):
    type_name = "{type_name}"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")

@hookimpl
def al_register_sinks():
    return [{name}]
"""


class Site:
    """A directory of installed distributions, real metadata and all."""

    def __init__(self, directory):
        self.directory = directory
        self.modules = []

    def install(
        self,
        name,
        code,
        *,
        distribution=None,
        version="1.0",
        requires=(),
        module=None,
        value=None,
        group="al_framework",
    ):
        module = module or f"site_{name}"
        distribution = distribution or f"al-{name}"
        self.modules.append(module)
        (self.directory / f"{module}.py").write_text(textwrap.dedent(code))
        info = self.directory / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
        lines += [f"Requires-Dist: {line}" for line in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value or module}\n")
        importlib.invalidate_caches()

    def install_sink(self, name, type_name, **kwargs):
        self.install(name, SINK.format(name=name.title(), type_name=type_name), **kwargs)

    def entry_points(self):
        return [
            entry_point
            for distribution in importlib.metadata.distributions(path=[str(self.directory)])
            for entry_point in distribution.entry_points
        ]

    def discover(self, **kwargs):
        kwargs.setdefault("environ", {})
        return PluginHost.discover(entry_points=self.entry_points(), **kwargs)


@contextmanager
def opened(directory):
    made = Site(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(directory))
        yield made
    for module in made.modules:
        sys.modules.pop(module, None)


@pytest.fixture
def site(tmp_path):
    with opened(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory):
    """As `site`, one for all tests of a module."""
    with opened(tmp_path_factory.mktemp("site")) as made:
        yield made
