"""A server on loopback that answers what the reconciler asks Airflow, from states that a test sets."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests import loopback
from tests.loopback import Answering

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "let-me-ask"  # of this loopback server
Answers = dict[str, dict[str, Any]]


@contextmanager
def serving(answers: Answers) -> Iterator[str]:
    """Serve `answers` (path below a DAG's runs -> body); what is not among them is gone. Yields the address."""

    class Handler(Answering):
        def do_POST(self) -> None:
            body = json.loads(self.body())
            good = self.path == "/auth/token" and body == {"username": "service", "password": PASSWORD}
            self.answer(201 if good else 401, {"access_token": "granted"} if good else {"detail": "no"})

        def do_GET(self) -> None:
            if self.headers["authorization"] != "Bearer granted":
                self.answer(401, {"detail": "not authenticated"})
                return
            path = self.path.removeprefix("/api/v2/dags/test/dagRuns/")
            found = answers.get(path)
            self.answer(200 if found else 404, found or {"detail": "was not found"})

    with loopback.serving(Handler) as address:
        yield address
