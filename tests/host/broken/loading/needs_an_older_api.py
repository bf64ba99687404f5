"""Its metadata ask for an al-framework that is long gone."""

raise RuntimeError("imported")
