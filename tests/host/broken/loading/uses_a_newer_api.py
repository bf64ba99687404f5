"""It imports what this al-framework has not got, and its metadata do not say so."""

from al_framework.api import Dream  # noqa: F401
