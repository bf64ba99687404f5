"""Its own dependency is not installed."""

import no_such_module_here  # noqa: F401
