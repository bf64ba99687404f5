"""Run the server from a shell."""

from al_framework_roboflow.server.command import serve

if __name__ == "__main__":
    serve(prog_name="python -m al_framework_roboflow.server")
