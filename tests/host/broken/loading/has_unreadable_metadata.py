"""Nobody can tell which al-framework it asks for."""

raise RuntimeError("imported")
