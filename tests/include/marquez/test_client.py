"""The client of the Marquez API: what it asks, and what it makes of the answers of either server."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from include.errors import ProviderRefused, ProviderUnavailable
from include.marquez.client import MarquezClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Answer = tuple[int, str]


@contextmanager
def answering(answer: Callable[[str, str, bytes], Answer]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server on this machine that answers as told; yields its address and what it was asked."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked.append((self.command, self.path))
            status, text = answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = handle_any  # names that the base class asks for

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (201, "", None),
        (422, '{"errors": ["job must not be null"]}', ProviderRefused),
        (400, '{"code": 400}', ProviderRefused),
        (413, "", ProviderRefused),
        (500, '{"code": 400, "message": "malformed"}', ProviderRefused),
        (500, "<html>", ProviderUnavailable),
        (503, "", ProviderUnavailable),
        (401, "", ProviderUnavailable),
        (404, "", ProviderUnavailable),
        (429, "", ProviderUnavailable),
    ],
)
def test_an_event_is_delivered_refused_or_to_be_tried_again(
    status: int, body: str, outcome: type[Exception] | None
) -> None:
    with answering(lambda *_: (status, body)) as (url, _), MarquezClient(url) as client:
        if outcome is None:
            client.deliver({})
        else:
            with pytest.raises(outcome, match=str(status)):
                client.deliver({})


def test_a_silent_server_is_unavailable_and_unwell() -> None:
    with MarquezClient("http://127.0.0.1:1", "http://127.0.0.1:1", timeout_s=2) as client:
        for call in (lambda: client.deliver({}), lambda: client.run("x"), client.identity):
            with pytest.raises(ProviderUnavailable, match=r"127\.0\.0\.1:1"):
                call()
        assert client.health() is False


def test_a_server_without_batches_gets_them_one_by_one() -> None:
    def answer(method: str, path: str, body: bytes) -> Answer:
        return (404 if path.endswith("/batch") else 201), ""

    with answering(answer) as (url, asked), MarquezClient(url) as client:
        assert [delivery.status for delivery in client.post_batch([{}, {}])] == [201, 201]
        client.post_batch([{}])
    assert asked == [
        ("POST", "/api/v1/lineage/batch"),
        ("POST", "/api/v1/lineage"),
        ("POST", "/api/v1/lineage"),
        ("POST", "/api/v1/lineage"),
    ]


def test_names_are_encoded_whole() -> None:
    with answering(lambda *_: (200, "{}")) as (url, asked), MarquezClient(url + "/behind/a/proxy") as client:
        client.dataset("s3://b", "a b/ü%2F?#")
        client.graph("job:ns:a/b&c", 3)
    assert [path for _, path in asked] == [
        "/behind/a/proxy/api/v1/namespaces/s3%3A%2F%2Fb/datasets/a%20b%2F%C3%BC%252F%3F%23",
        "/behind/a/proxy/api/v1/lineage?nodeId=job%3Ans%3Aa%2Fb%26c&depth=3&latestRun=own",
    ]


def test_pages_are_followed_to_the_end() -> None:
    def answer(method: str, path: str, body: bytes) -> Answer:
        offset = int(path.rpartition("=")[2])
        return 200, json.dumps(
            {"jobs": [{"n": n} for n in range(offset, min(offset + 2, 5))], "totalCount": 5}
        )

    with answering(answer) as (url, asked), MarquezClient(url) as client:
        assert [job["n"] for job in client.jobs("ns", page=2)] == [0, 1, 2, 3, 4]
    assert len(asked) == 3


def test_what_is_not_known_is_none_and_an_empty_facets_answer_is_no_facets() -> None:
    with answering(lambda method, path, body: (404, "{}")) as (url, _), MarquezClient(url) as client:
        assert (client.run("x"), client.job("a", "b"), client.graph("job:a:b"), client.run_facets("x")) == (
            None,
        ) * 4
    with answering(lambda *_: (200, "")) as (url, _), MarquezClient(url) as client:
        assert client.run_facets("x") == {}


def test_the_server_says_which_it_is(client: MarquezClient) -> None:
    assert client.identity().startswith("embedded ")
    assert client.health() is True
    with answering(lambda *_: (200, '{"namespaces": []}')) as (url, _), MarquezClient(url) as other:
        assert other.identity() == "Marquez"
