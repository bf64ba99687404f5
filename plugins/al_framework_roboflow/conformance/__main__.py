"""Entry point of ``python -m al_framework_roboflow.conformance``."""

from al_framework_roboflow.conformance.command import conformance

if __name__ == "__main__":
    conformance(prog_name="python -m al_framework_roboflow.conformance")
