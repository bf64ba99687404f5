"""An error that does not say what it is."""

raise RuntimeError
