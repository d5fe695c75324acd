"""A lineage server on this machine that remembers what it took, and fails as told."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Event = dict[str, Any]


class Receiver:
    """`got` holds what was taken, in order of arrival; `statuses` answers for runs, `status` for every event.

    `silent_for` are runs, or "all", whose requests it holds; `mute` takes what comes and hangs up without an answer;
    `slow_s` is how long every request waits before it is looked at.
    """

    def __init__(self) -> None:
        self.got: list[Event] = []
        self.batches = True
        self.status = 201
        self.statuses: dict[str, int] = {}
        self.silent_for: set[str] = set()
        self.mute = False
        self.slow_s = 0.0
        self.asked: list[tuple[str, int]] = []
        self.unanswered = 0
        self.noticed: Callable[[int], None] = lambda count: None
        self.arrived = threading.Condition()
        self.released = threading.Event()
        self.url = ""

    def kinds(self, job: str) -> list[str]:
        return [event["eventType"] for event in self.got if event["job"]["name"] == job]

    def wait_for(self, count: int, seconds: float) -> bool:
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.got) >= count, seconds)

    def take(self, event: Event) -> int:
        run = event["run"]["runId"]
        if {"all", run} & self.silent_for:
            self.released.wait()
        status = self.statuses.get(run, self.status)
        if status == 201:
            with self.arrived:
                self.got.append(event)
                self.arrived.notify_all()
                count = len(self.got)
            self.noticed(count)
        return status

    def answer(self, path: str, body: Any) -> tuple[int, Any]:
        if not path.endswith("/batch"):
            return self.take(body), {"errors": ["told so"]}
        if not self.batches:
            return 404, {"code": 404, "message": "HTTP 404 Not Found"}
        if self.status != 201:
            return self.status, {}
        if body and "all" in self.silent_for:
            self.released.wait()
        told: list[Event] = []
        refused: set[str] = set()
        for event in body:
            run = event["run"]["runId"]
            told.append({"status": 424 if run in refused else self.take(event), "error": {"said": "told so"}})
            if told[-1]["status"] >= 500:
                return (
                    500,
                    {},
                )  # as a server whose transaction broke; this one had taken the first ones, though
            if told[-1]["status"] != 201:
                refused.add(run)
        return 200, {"accepted": len(told), "new": len(told), "events": told}


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            content = self.rfile.read(size)
            if len(content) < size:  # the sender was killed
                self.close_connection = True
                return
            body = json.loads(content)
            receiver.asked.append((self.path, len(body)))
            if receiver.slow_s:
                receiver.released.wait(receiver.slow_s)
            status, answer = receiver.answer(self.path, body)
            if receiver.mute and body:
                receiver.unanswered += 1
                self.close_connection = True
                return
            told = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the sender was killed

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", port), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.released.set()
            server.shutdown()
            thread.join()
