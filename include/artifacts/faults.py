"""Programmed faults: a named point kills its process once, so that tests can prove what survives.

``THROUGHLINE_FAULT=<stage>:<point>`` arms one point; the marker file ``THROUGHLINE_FAULT_MARKER`` is created
exclusively when it fires, so that it fires once over all processes and a test can assert that it did.
``THROUGHLINE_FAULT=@<file>`` reads the point from a file each time, so that a running stack can be programmed.
"""

import os
import signal
from pathlib import Path

from include.errors import ConfigurationError
from include.settings import settings

POINTS = (
    "claimed",  # the stage run exists, no work is done
    "before_write",  # inputs are read, no output byte is written
    "written",  # the temporary file is complete, nothing is at its address
    "renamed",  # the file is at its address, no row names it
    "committed",  # the rows are committed, nobody was told
)


def reach(stage: str, point: str) -> None:
    """Die here if this fault is programmed and has not fired; otherwise do nothing.

    Raises ConfigurationError for an unknown point, and for a fault outside tests.
    """
    if point not in POINTS:
        raise ConfigurationError(f"unknown fault point {point!r}; known: {', '.join(POINTS)}")
    fault = settings().fault
    if fault is None:
        return
    marker = settings().fault_marker
    if not settings().testing or marker is None:
        raise ConfigurationError("THROUGHLINE_FAULT is for tests: it needs THROUGHLINE_TESTING and a marker")
    if fault.startswith("@"):
        plan = Path(fault[1:])
        fault = plan.read_text().strip() if plan.is_file() else ""
    if fault != f"{stage}:{point}":
        return
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
