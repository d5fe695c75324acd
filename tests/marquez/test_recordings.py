"""Answers of a real Marquez 0.51.1, asked again of this server, or of the one at MARQUEZ_URL, after the same events.

A live server is told a whole scenario, so it must be empty each time: MARQUEZ_RESET is the shell command that empties it.
Of a live Marquez nothing is excused; of this server, wherever it runs, what tests/marquez/differences.toml lists.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from comparing import ABSENT, Comparison, Side
from listing import DIFFERENCES, PAGE, Listed, page
from replaying import SCENARIOS, Answer, Scenario

from tests.kept_nodes import KeptNodes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LIVE = os.environ.get("MARQUEZ_URL", "")
SHARE = {"airflow_medallion": 0.95, "airflow_video": 0.95, "oddities": 0.80, "rejections": 0.85}
"""Least share of answers that are equal without any excuse, of those that are answers: a 5xx of Marquez is none."""
_replayed: dict[str, tuple[list[Answer], bool]] = {}


@contextmanager
def _server(lineage_server: Any) -> Iterator[tuple[str, str]]:
    if not LIVE:
        with lineage_server.another() as server:
            yield server.url, server.admin_url
        return
    reset = os.environ.get("MARQUEZ_RESET")
    if reset:
        subprocess.run(reset, shell=True, check=True)  # noqa: S602  # the operator's own command
    held = {item["name"] for item in httpx.get(f"{LIVE}/api/v1/namespaces", timeout=60).json()["namespaces"]}
    assert held == {"default"}, f"{LIVE} is not empty: set MARQUEZ_RESET to the command that empties it"
    yield LIVE, os.environ.get("MARQUEZ_ADMIN_URL", LIVE)


@pytest.fixture
def replayed(request: pytest.FixtureRequest) -> Any:
    """Return the answers to a scenario, asked once a session, and whether the list of differences applies to them."""

    def ask(name: str) -> tuple[list[Answer], bool]:
        if name not in _replayed:
            own = None if LIVE else request.getfixturevalue("lineage_server")
            with _server(own) as (url, admin_url):
                answers = Scenario(name).replayed(url, admin_url)
                embedded = "x-lineage-server" in httpx.get(f"{url}/api/v1/namespaces").headers
            _replayed[name] = answers, embedded
        return _replayed[name]

    return ask


def sites(name: str, answers: list[Answer]) -> Iterator[tuple[Answer, str]]:
    """Yield every difference as differences.toml names it."""
    for answer in answers:
        for path, _, _ in answer.differences:
            yield answer, f"{name}: {answer.request} {path}"


def reason(site: str) -> Listed | None:
    return next((listed for listed in DIFFERENCES if listed.excuses(site)), None)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_answer_is_that_of_marquez_but_for_what_is_listed(
    name: str, replayed: Any, capsys: Any
) -> None:
    answers, embedded = replayed(name)
    found = list(sites(name, answers))
    reasons = Counter(listed.name for _, site in found if (listed := reason(site)))
    told = [answer for answer in answers if answer.their_status < 500]
    shares = [(sum(not a.differences for a in those), len(those)) for those in (answers, told)]
    with capsys.disabled():
        print(
            f"\n{name}: {shares[0][0]} of {shares[0][1]} answers equal ({shares[0][0] / shares[0][1]:.1%}) without any"
            f" excuse; of those that are no 5xx of Marquez {shares[1][0]} of {shares[1][1]} ({shares[1][0] / shares[1][1]:.1%});"
            f"\n  listed differences: {', '.join(f'{what} {n}' for what, n in reasons.most_common()) or 'none'}"
        )
    unlisted = [
        f"{site}: {their!r:.200} is {our!r:.200}"
        for answer in answers
        for path, their, our in answer.differences
        for site in [f"{name}: {answer.request} {path}"]
        if not embedded or not reason(site)
    ]
    assert unlisted == [], "\n".join(unlisted[:30])
    assert shares[1][0] / shares[1][1] >= SHARE[name]


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_a_server_error(name: str, replayed: Any) -> None:
    answers, embedded = replayed(name)
    assert [answer.request for answer in answers if answer.status >= 500 and embedded] == []


def test_every_listed_difference_still_occurs(replayed: Any) -> None:
    if LIVE and not all(replayed(name)[1] for name in SCENARIOS):
        pytest.skip("a real Marquez does not differ from itself")
    found = [site for name in SCENARIOS for _, site in sites(name, replayed(name)[0])]
    idle = [
        f"{listed.name}: {pattern}"
        for listed in DIFFERENCES
        for pattern in listed.where
        if not any(re.search(pattern, site) for site in found)
    ]
    assert idle == []
    shadowed = [listed.name for listed in DIFFERENCES if listed.where and listed not in map(reason, found)]
    assert shadowed == []


def test_what_no_recording_shows_is_proven_by_a_test() -> None:
    for listed in DIFFERENCES:
        assert bool(listed.where) != bool(listed.test), listed.name
        if listed.test:
            file, _, function = listed.test.partition("::")
            assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8"), listed.name


def test_the_page_is_made_from_the_list() -> None:
    assert page() == PAGE.read_text(encoding="utf-8"), "run python tests/marquez/listing.py"


@pytest.mark.parametrize("name", SCENARIOS)
def test_nodes_that_are_kept_are_never_older_than_what_was_told_last(
    name: str, lineage_server: Any, capsys: Any
) -> None:
    with lineage_server.another() as server, KeptNodes.of(server.dsn) as kept:
        stale = {
            request: differing
            for request in Scenario(name).told_in_turn(server.url, server.admin_url)
            if (differing := kept.stale())
        }
    share = kept.counts["kept"] / kept.counts.total()
    with capsys.disabled():
        print(f"\n{name}: {share:.1%} of {kept.counts.total()} nodes sent as they were kept")
    assert stale == {}
    assert share > 0.5


# --- the comparison itself -------------------------------------------------------------------------------------------

ONE, TWO, THREE = (f"{n}0000000-0000-4000-8000-000000000000" for n in (1, 2, 3))


@pytest.fixture
def comparison() -> Comparison:
    return Comparison(Side({THREE}, 0, 1), Side({THREE}, 1_000_000_000, 1_000_000_001))


def test_what_a_server_makes_may_differ_but_only_one_to_one(comparison: Comparison) -> None:
    assert comparison.differences({"version": ONE}, {"version": TWO}) == []
    assert [path for path, _, _ in comparison.differences({"version": ONE}, {"version": ONE})] == [
        "$identifiers"
    ]
    assert comparison.differences([ONE, ONE], [TWO, THREE]) != []
    assert comparison.differences({"run": THREE}, {"run": ONE}) == [("$.run", THREE, ONE)]


def test_the_clock_of_a_server_is_not_compared_and_other_times_are(comparison: Comparison) -> None:
    theirs, ours = "1970-01-01T00:00:00.500Z", "2001-09-09T01:46:40.250Z"
    assert comparison.differences({"at": theirs}, {"at": ours}) == []
    assert comparison.differences({"at": theirs}, {"at": "2001-09-09T01:00:00Z"}) != []
    assert comparison.differences({"at": "2026-01-01T00:00:00Z"}, {"at": ours}) != []


def test_lists_are_paired_by_name_and_compared_in_order_where_there_is_one(comparison: Comparison) -> None:
    a, b = (
        {"id": {"namespace": "n", "name": "a"}, "updatedAt": 1},
        {"id": {"namespace": "n", "name": "b"}, "updatedAt": 2},
    )
    assert comparison.differences({"inputs": [a, b]}, {"inputs": [b, a]}) == []
    assert [path for path, _, _ in comparison.differences({"jobs": [a, b]}, {"jobs": [b, a]})] == [
        "$.jobs.order"
    ]
    assert comparison.differences({"jobs": [a, b]}, {"jobs": [b]}) == [("$.jobs[n:a]", a, ABSENT)]
    same = a | {"updatedAt": 2}
    assert comparison.differences({"jobs": [same, b]}, {"jobs": [b, same]}) == []
    assert comparison.differences({"jobs": [a]}, {"jobs": [same]}) == [("$.jobs[n:a].updatedAt", 1, 2)]
