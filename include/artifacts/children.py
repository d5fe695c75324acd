"""Child processes that do not outlive the process that starts them, however it ends."""

import shutil
from functools import cache

from include.errors import ConfigurationError


@cache
def dying_with_us() -> tuple[str, ...]:
    """Return the command prefix that ties a child's life to the thread that starts it.

    Raises ConfigurationError when the program for it is not installed.
    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ConfigurationError("setpriv is missing: apt-get install util-linux")
    return (setpriv, "--pdeathsig", "KILL", "--")
