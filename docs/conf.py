"""How the documentation site is built: ``sphinx-build -W docs build/docs``.

Sphinx rather than MkDocs Material: the latter is in maintenance mode, and Sphinx reads the API's
docstrings itself, checks every cross-reference and fails on the first one that leads nowhere. The
pages are Markdown all the same (MyST), so that they read well where nobody has built them. The
theme is furo: light and dark, usable on a phone, and without a request to another host.
"""
# ruff: noqa: INP001  # Sphinx reads this file by its place; the directory is no package

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "al-framework"
author = "The al-framework developers"
release = version = version_of("al-framework")
html_title = f"al-framework {release}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "al_reference",  # ours: what is generated from the product itself
]
exclude_patterns = ["_ext", "_static"]
myst_heading_anchors = 4

# Docstrings write `Name` for whatever it is: a link where it is documented, code elsewhere.
default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
maximum_signature_line_length = 80
autodoc_typehints_format = "short"
autodoc_class_signature = "separated"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes are documented by the class and would appear twice

html_theme = "furo"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
