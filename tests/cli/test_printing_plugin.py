"""What a plugin prints when it is loaded does not get into what a command prints."""

import json

import pytest

CHATTY = """
from al_framework.api import Receipt, Sink, hookimpl

print("chatty is imported")

class Chatty(Sink):
    type_name = "chatty"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")

@hookimpl
def al_register_sinks():
    print("chatty is asked")
    return [Chatty]
"""


@pytest.mark.parametrize("command", [("plugins", "--json"), ("schema",)], ids=" ".join)
def test_json_is_json_whatever_a_plugin_prints(desk, command):
    desk.install("chatty", CHATTY)
    result = desk.call(*command)

    assert result.status == 0, result.err
    assert "chatty" in json.dumps(json.loads(result.out))
    assert result.err.splitlines() == ["chatty is imported", "chatty is asked"]
