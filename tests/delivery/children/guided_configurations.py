"""Guided fuzzing of configuration files."""

import contextlib
import json
from pathlib import Path

from guided_json import json_bytes, keys_of

from al_framework.api import ConfigurationError
from al_framework.config.loading import load_configuration, plugin_switches, read_document
from al_framework.host import PluginHost

CONFIGURATION = {
    **json.loads(Path(__file__).with_name("configuration.json").read_text()),
    "batch_time_zone": "UTC",
}
YAML = b"""\
# as people write it
sources: [{name: cam, type: directory, path: 'frames'}]
active_learning:
  enabled: false
sinks:
  - type: "directory"
    path: >-
      collected
seed: 0x1F
"""
TOML = b'name = "x"\n[active_learning]\nenabled = false\n[[sinks]]\ntype = "null"\nseed = 1_000\n'


class Fuzzed:
    """Whatever a configuration file holds is a configuration, or a `ConfigurationError`.

    The first letter of an input tells the suffix of the file, the rest is what it holds.
    """

    may_read = True
    suffixes = ("yaml", "json", "toml")
    words = (b"&a ", b"*a", b"<<: ", b"!!", b"? ", b"- ", b"|\n", b">-\n", b"---\n", b"...\n")
    words += (b"${KEY}", b"file:", b".nan", b"1e999", b"NaN", b"'''", b'"""', b"[[", b"\\ud800")

    def __init__(self, root):
        self._host = PluginHost.discover()
        self._paths = [root / f"al.{suffix}" for suffix in self.suffixes]
        whole = json_bytes(CONFIGURATION)
        self.seeds = [b"y" + whole, b"j" + whole, b"y" + YAML, b"t" + TOML]
        self.words = (*self.words, *keys_of(CONFIGURATION))

    def check(self, data):
        path = self._paths[b"yjt".find(data[:1])]  # -1: what begins otherwise is TOML
        path.write_bytes(data[1:])
        with contextlib.suppress(ConfigurationError):
            document = read_document(path)
            plugin_switches(document)
            load_configuration(document, self._host, environ={"KEY": "value", "HOME": "x"})
