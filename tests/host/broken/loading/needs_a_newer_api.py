"""Its metadata ask for a later al-framework, so it is not even imported."""

raise RuntimeError("imported")
