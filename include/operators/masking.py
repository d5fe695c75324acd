"""Secrets that Airflow knows, kept out of events; and secrets that we know, kept out of Airflow's logs."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk._shared.secrets_masker import redact
from airflow.sdk.log import mask_secret

from include.lineage.scrub import Scrub
from include.lineage.secrets import clean_text, given_to, shown_in

if TYPE_CHECKING:
    from collections.abc import Iterator


class MaskedScrub(Scrub):
    """The scrub that also hides what Airflow's masker knows by now: passwords of connections, secret variables.

    The provider's own redaction copies the masker's patterns when a process begins, before a task has asked for any
    connection.
    """

    def mask(self, text: str) -> str:
        """Return the text as Airflow would log it."""
        return str(redact(text))


def hidden(text: str) -> str:
    """Return a failure's text as the ledger may keep it: without what looks like a secret, what the environment gave
    to this process, and what Airflow has handed to the task by now.
    """
    return clean_text(str(redact(text)), given_to(os.environ))


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Let Airflow's logs hide this process's secrets, and those that a failure shows; the failure goes on."""
    for value in given_to(os.environ):
        mask_secret(value)
    try:
        yield
    except BaseException as error:
        for one in _chain(error):
            for value in shown_in(str(one)):
                mask_secret(value)
        raise


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield a failure and what caused it: a log prints them all."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
