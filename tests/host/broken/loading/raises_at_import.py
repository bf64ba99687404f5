"""The device it wants is not there."""

raise RuntimeError("no camera\n  on port 3")
