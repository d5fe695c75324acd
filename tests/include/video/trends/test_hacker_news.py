"""Hacker News over real HTTP: a loopback server answers with a sample that the project wrote itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from include.errors import InvalidInput, ProviderRefused, ProviderUnavailable
from include.video.trends.hacker_news import HackerNewsSource, capture
from tests.loopback import Answering, serving

if TYPE_CHECKING:
    from pathlib import Path

# Written for these tests in the shape of the search API; none of these stories exists.
SAMPLE: dict[str, Any] = {
    "hits": [
        {
            "objectID": "900001",
            "title": "Show HN: A paper bridge simulator",
            "url": "https://example.invalid/bridge",
            "author": "sample_author",
            "points": 321,
            "num_comments": 87,
            "created_at_i": 1780300800,
            "_tags": ["story", "author_sample_author", "story_900001", "show_hn", "front_page"],
        },
        {
            "objectID": "900002",
            "title": "The quiet return of the night train",
            "url": None,
            "author": "another_sample",
            "points": 54,
            "num_comments": None,
            "created_at_i": 1780304400,
            "_tags": ["story", "front_page"],
        },
    ]
}
Answer = tuple[int, bytes]


class Server:
    """Answers each request with the next of the given answers, the last one for ever."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers, self.paths = answers, list[str]()
        outer = self

        class Handler(Answering):
            def do_GET(self) -> None:
                outer.paths.append(self.path)
                status, body = outer.answers[min(len(outer.paths), len(outer.answers)) - 1]
                self.answer(status, body)

            def date_time_string(self, timestamp: float | None = None) -> str:
                return "Mon, 01 Jun 2026 12:00:00 GMT"

        self.running = ExitStack()
        self.url = self.running.enter_context(serving(Handler))

    def close(self) -> None:
        self.running.close()


@pytest.fixture
def serve() -> Iterator[Callable[[list[Answer]], Server]]:
    with ExitStack() as servers:

        def start(answers: list[Answer]) -> Server:
            return servers.enter_context(closing(Server(answers)))

        yield start


Serve = Callable[[list[Answer]], Server]
GOOD: Answer = (200, json.dumps(SAMPLE).encode())


def test_the_front_page_becomes_trends_seen_when_the_service_answered(serve: Serve, tmp_path: Path) -> None:
    server, stored = serve([GOOD]), tmp_path / "answer.json"
    assert capture(stored, base_url=server.url) == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert server.paths == ["/api/v1/search?tags=front_page&hitsPerPage=50"]
    first, second = HackerNewsSource(stored).fetch()
    assert (first.trend_id, first.likes, first.comments, first.views) == ("hacker_news:900001", 321, 87, None)
    assert (first.category, second.category) == ("Projects", "Stories")
    assert first.published_at == datetime(2026, 6, 1, 8, tzinfo=UTC)
    assert first.observed_at == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert second.url == "https://news.ycombinator.com/item?id=900002"
    assert second.comments is None


def test_a_stored_answer_gives_the_same_trends_again(serve: Serve, tmp_path: Path) -> None:
    server, stored = serve([GOOD]), tmp_path / "answer.json"
    capture(stored, base_url=server.url)
    assert HackerNewsSource(stored).fetch() == HackerNewsSource(stored).fetch()


@pytest.mark.parametrize("trouble", [429, 500, 503])
def test_trouble_is_tried_again_and_then_forgotten(serve: Serve, tmp_path: Path, trouble: int) -> None:
    server = serve([(trouble, b"busy"), (trouble, b"busy"), GOOD])
    capture(tmp_path / "a.json", base_url=server.url, backoff_s=0.01)
    assert len(server.paths) == 3


def test_lasting_trouble_is_unavailable_after_a_bounded_number_of_tries(serve: Serve, tmp_path: Path) -> None:
    server = serve([(503, b"busy")])
    with pytest.raises(ProviderUnavailable, match="hacker_news answered 503"):
        capture(tmp_path / "a.json", base_url=server.url, backoff_s=0.01)
    assert len(server.paths) == 3
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("refusal", [400, 403, 404])
def test_a_refusal_is_not_tried_again(serve: Serve, tmp_path: Path, refusal: int) -> None:
    server = serve([(refusal, b"no")])
    with pytest.raises(ProviderRefused, match=f"refused with {refusal}"):
        capture(tmp_path / "a.json", base_url=server.url, backoff_s=0.01)
    assert len(server.paths) == 1


def test_nobody_listening_is_unavailable(tmp_path: Path, serve: Serve) -> None:
    server = serve([GOOD])
    address = server.url
    server.close()
    with pytest.raises(ProviderUnavailable, match="does not answer: ConnectError"):
        capture(tmp_path / "a.json", base_url=address, attempts=2, backoff_s=0.01)


def test_an_answer_that_is_not_json_is_unavailable(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="not JSON"):
        capture(tmp_path / "a.json", base_url=serve([(200, b"<html>")]).url)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"hits": []}, "holds no stories"),
        ({}, "is not a stored answer"),
        ({"hits": [{"objectID": "1"}]}, "a story of the answer cannot be read"),
        ({"hits": [SAMPLE["hits"][0] | {"points": -3}]}, "a story of the answer cannot be read"),
    ],
)
def test_an_answer_without_readable_stories_is_refused(
    serve: Serve, tmp_path: Path, answer: dict[str, Any], reason: str
) -> None:
    stored = tmp_path / "a.json"
    capture(stored, base_url=serve([(200, json.dumps(answer).encode())]).url)
    with pytest.raises(InvalidInput, match=reason):
        HackerNewsSource(stored).fetch()
