"""Time, in the one unit of the API: integer Unix milliseconds, UTC."""

import time


def now_ms() -> int:
    """Return the present time in Unix milliseconds."""
    return time.time_ns() // 1_000_000
