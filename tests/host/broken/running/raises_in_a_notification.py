"""It cannot cope with the news."""

from al_framework.api import hookimpl


@hookimpl
def al_run_started(run):
    raise RuntimeError("no chat room")
