"""Its import runs into the end of an event loop of its own."""

import asyncio

raise asyncio.CancelledError("the loop is closed")
