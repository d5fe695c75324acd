"""A server on loopback that answers what the reconciler asks Airflow, from states that a test sets."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "let-me-ask"  # of this loopback server
Answers = dict[str, dict[str, Any]]


@contextmanager
def serving(answers: Answers) -> Iterator[str]:
    """Serve `answers` (path below a DAG's runs -> body); what is not among them is gone. Yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            good = self.path == "/auth/token" and body == {"username": "service", "password": PASSWORD}
            self._answer(201 if good else 401, {"access_token": "granted"} if good else {"detail": "no"})

        def do_GET(self) -> None:
            if self.headers["authorization"] != "Bearer granted":
                self._answer(401, {"detail": "not authenticated"})
                return
            path = self.path.removeprefix("/api/v2/dags/test/dagRuns/")
            found = answers.get(path)
            self._answer(200 if found else 404, found or {"detail": "was not found"})

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
