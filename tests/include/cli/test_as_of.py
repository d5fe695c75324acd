"""How ``--as-of`` is read, wherever the machine stands."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from include.cli.as_of import parse
from include.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.delenv("TZ")
    time.tzset()


@pytest.mark.parametrize(
    ("text", "moment", "assumed"),
    [
        ("2026-11-01T10:00:00+02:00", "2026-11-01T08:00:00+00:00", False),
        ("2026-11-01T10:00:00Z", "2026-11-01T10:00:00+00:00", False),
        ("2026-11-01 10:00", "2026-11-01T10:00:00+00:00", True),
        ("2026-11-01", "2026-11-01T00:00:00+00:00", True),
    ],
)
def test_a_time_without_a_zone_is_utc_on_every_machine_and_says_so(
    elsewhere: None, text: str, moment: str, assumed: bool
) -> None:
    found = parse(text, now=NOW)
    assert found is not None
    assert (found.moment.isoformat(), found.assumed) == (moment, assumed)
    assert ("taken as UTC" in str(found)) is assumed


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "0001-01-01T00:00:00+14:00"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="ISO 8601"):
        parse(text, now=NOW)


def test_what_has_not_come_yet_is_refused() -> None:
    with pytest.raises(InvalidInput, match="has not come yet"):
        parse("2026-11-02T00:00:01Z", now=NOW)
