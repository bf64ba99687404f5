"""A child works whatever locks other threads of its parent held at the moment of the fork."""

import json
import subprocess
import sys

import pytest

HANG_S = 120.0
FORKED = """
import faulthandler, gc, json, logging, os, sys, threading, types
import al_framework_local, al_framework_roboflow
from al_framework import Collector
from al_framework.api import ConfigurationProvider, ProvidedConfiguration, hookimpl
from al_framework.assembly import assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.limits import sqlite
from al_framework.pipeline.spool import database
from al_framework.testing import sample_jpeg

STRATEGIES = [{"name": "all", "type": "random", "traffic_percentage": 1,
               "limits": [{"type": "daily", "value": 100}]}]
AL = {
    "enabled": True, "persist_predictions": True, "sampling_strategies": STRATEGIES,
    "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
}

class Scripted(ConfigurationProvider):
    type_name = "scripted"

    def fetch(self):
        return ProvidedConfiguration(document=AL)

class Plugin:
    @hookimpl
    def al_register_configuration_providers(self):
        return [Scripted]

LOCKS = (type(threading.Lock()), type(threading.RLock()))
# Those of threads and of logging are renewed by Python itself.
FOREIGN = (type, types.ModuleType, types.FrameType, threading.Thread, logging.Logger)

def locks_of(root):
    seen, found, todo = set(), [], [root]
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, FOREIGN):
            continue
        seen.add(id(one))
        if isinstance(one, LOCKS):
            found.append(one)
        elif isinstance(one, types.FunctionType):  # not all that its module knows
            todo += [cell.cell_contents for cell in one.__closure__ or ()]
        else:
            todo += gc.get_referents(one)
    return found

def hold(locks):
    held = [lock for lock in locks if lock.acquire(timeout=0.2)]
    print(len(held), flush=True)
    ready.set()
    forked.wait()
    for lock in held:
        lock.release()

def collect(name, seed):
    collector.wait_for_configuration(60)
    ticket = collector.submit(sample_jpeg(seed=seed), frame_id=name, wait_accepted_s=60)
    collector.stats(), collector.health()
    collector.close()
    return ticket.status

host = PluginHost.without_discovery(
    {"local": al_framework_local, "roboflow": al_framework_roboflow, "fake": Plugin()}
)
text = {
    "name": "line", "configuration": {"type": "scripted"},
    "sinks": [{"type": "directory", "path": "collected", "page": False}],
}
configuration = load_configuration(read_document(text), host, environ={})
collector = Collector(assemble(configuration, host), delivery=sys.argv[1])
collector.wait_for_configuration(60)
collector.submit(sample_jpeg(seed=1), frame_id="before", wait_accepted_s=60)
collector._assembly.delivery.drain(60)
database._FORK_WAIT_S = sqlite._FORK_WAIT_S = 0.01  # they are held, so waiting is in vain
ready, forked = threading.Event(), threading.Event()
holder = threading.Thread(target=hold, args=(locks_of(collector),))
holder.start()
ready.wait()
child = os.fork()
if child == 0:
    faulthandler.dump_traceback_later(60, exit=True)
    os._exit(0 if collect("child", 2) == "accepted" else 9)
forked.set()
holder.join()
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(status or collect("parent", 3) != "accepted")
"""


@pytest.mark.parametrize("delivery", ["background", "inline"])
def test_no_lock_of_the_parent_is_waited_for_in_the_child(tmp_path, delivery):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED, delivery],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    lines = (tmp_path / "collected" / "manifest.jsonl").read_text().splitlines()

    assert (done.returncode, done.stderr) == (0, "")
    assert {json.loads(line)["frame_id"] for line in lines} == {"before", "child", "parent"}
    assert int(done.stdout) > 15  # locks were held
