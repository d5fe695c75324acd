"""The client of the Marquez API: what it asks, and what it makes of the answers of either server."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from include.errors import ProviderAway, ProviderRefused, ProviderUnavailable
from include.marquez.client import MarquezClient
from tests.loopback import Answering, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Answer = tuple[int, str]


@contextmanager
def answering(answer: Callable[[str, str, bytes], Answer]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server on this machine that answers as told; yields its address and what it was asked."""
    asked: list[tuple[str, str]] = []

    class Handler(Answering):
        def handle_any(self) -> None:
            asked.append((self.command, self.path))
            status, text = answer(self.command, self.path, self.body())
            self.answer(status, text.encode(), {"content-type": "application/json"})

        do_GET = do_POST = handle_any  # names that the base class asks for

    with serving(Handler) as address:
        yield address, asked


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


@pytest.mark.parametrize("status", [401, 404, 408, 425, 429, 502, 503, 504])
def test_a_server_that_takes_nothing_now_is_told_from_one_that_fails_at_an_event(status: int) -> None:
    with (
        answering(lambda *_: (status, "")) as (url, _),
        MarquezClient(url) as client,
        pytest.raises(ProviderAway),
    ):
        client.post_event({})
    with answering(lambda *_: (500, "")) as (url, _), MarquezClient(url) as client:
        with pytest.raises(ProviderUnavailable) as failed:
            client.post_event({})
        assert not isinstance(failed.value, ProviderAway)


def of_run(run: str) -> dict[str, Any]:
    return {"run": {"runId": run}}


@pytest.mark.parametrize("batches", [False, True])
def test_nothing_of_a_run_is_sent_after_a_refused_event_of_it(
    monkeypatch: pytest.MonkeyPatch, batches: bool
) -> None:
    """In one request the server sees to it, from request to request the client."""
    monkeypatch.setattr("include.marquez.client.BATCH_SIZE", 2)
    seen: list[str] = []

    def answer(method: str, path: str, body: bytes) -> Answer:
        told = json.loads(body)
        if not path.endswith("/batch"):
            seen.append(told["run"]["runId"])
            return (422 if told["run"]["runId"] == "bad" else 201), ""
        if not batches:
            return 404, ""
        seen.extend(event["run"]["runId"] for event in told)
        statuses = [422 if event["run"]["runId"] == "bad" else 201 for event in told]
        return 200, json.dumps({"events": [{"status": status} for status in statuses]})

    with answering(answer) as (url, _), MarquezClient(url) as client:
        told = client.post_batch([of_run(run) for run in ("a", "bad", "bad", "a", "bad", "b")])
    assert [delivery.status for delivery in told] == [201, 422, 424, 201, 424, 201]
    assert [delivery.tried for delivery in told] == [True, True, False, True, False, True]
    assert seen == ["a", "bad", "a", "b"]


def test_a_batch_is_cut_by_bytes_and_its_answer_must_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.marquez.client.BATCH_BYTES", 150)
    sizes: list[int] = []

    def answer(method: str, path: str, body: bytes) -> Answer:
        told = json.loads(body)
        if told:
            sizes.append(len(told))
        return 200, json.dumps({"events": [{"status": 201}] * len(told)})

    with answering(answer) as (url, _), MarquezClient(url) as client:
        assert len(client.post_batch([{"text": "x" * size} for size in (10, 10, 200, 10)])) == 4
    assert sizes == [2, 1, 1]
    with (
        answering(lambda method, path, body: (200, '{"events": []}')) as (url, _),
        MarquezClient(url) as client,
    ):
        client.takes_batches()
        with pytest.raises(ProviderUnavailable, match="0 statuses to 2 events"):
            client.post_batch([{}, {}])


def test_a_batch_that_a_proxy_finds_too_large_goes_one_by_one() -> None:
    def answer(method: str, path: str, body: bytes) -> Answer:
        batch = path.endswith("/batch")
        return (413 if batch and len(body) > 2 else 200 if batch else 201), "{}"

    with answering(answer) as (url, asked), MarquezClient(url) as client:
        assert [delivery.status for delivery in client.post_batch([{}, {}])] == [201, 201]
    assert [path.rsplit("/", 1)[1] for _, path in asked] == ["batch", "batch", "lineage", "lineage"]


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
