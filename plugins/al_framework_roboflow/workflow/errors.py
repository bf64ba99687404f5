"""Say what is wrong with a workflow, all of it at once."""

from collections.abc import Sequence

from al_framework.api import ConfigurationError, Fault


class WorkflowFaultsError(ConfigurationError):
    """A workflow document, or what it was started with, cannot be used; every fault is listed."""

    def __init__(self, faults: Sequence[Fault], *, origin: str) -> None:
        super().__init__(faults, origin=origin)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        self.args = (f"{origin}: {count} in the workflow\n{lines}",)
