"""Let a command read the running stack of this clone, without anybody having to set its environment."""

from __future__ import annotations

import os

from include.settings import settings
from include.stack import credentials, parts, state


def adopt() -> None:
    """Take the ledger and the lineage server of this clone's stack, unless the environment names others.

    Does nothing where no stack was ever started: the command then says what setting it lacks.
    """
    if os.environ.get("THROUGHLINE_LEDGER_DSN"):
        return
    stack = state.load(settings().state_dir.resolve())
    if stack is None:
        return
    groups = parts.variables(stack, credentials.read(stack.state_dir))
    os.environ.update(parts.gathered(groups, parts.SHELL))
    settings.cache_clear()
