"""What is kept of a report: compact, whole, the same bytes every time; logs never block."""

from __future__ import annotations

import gzip
import random
from typing import TYPE_CHECKING, Any

import pytest

from include.artifacts.digests import canonical_json
from include.errors import ArtifactCorrupt, InvalidInput
from include.reports import capture

if TYPE_CHECKING:
    from collections.abc import Sequence


def document(payload: str) -> dict[str, Any]:
    return {"schema": "throughline/report-inputs/1", "payload": payload}


def incompressible(size: int) -> str:
    return "".join(
        random.Random(7).choices("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-", k=size)
    )


@pytest.mark.parametrize(
    ("payload", "parts"), [("tiny", 1), ("compressible " * 400_000, 1), (incompressible(6_000_000), 4)]
)
def test_a_bundle_holds_everything_in_parts_of_two_megabytes(payload: str, parts: int) -> None:
    whole = document(payload)
    made = capture.bundle(whole, "lead-1-inputs")
    assert len(made.parts) == parts
    assert all(len(part.content) <= 2_000_000 for part in made.parts)
    assert capture.unbundle([part.content for part in made.parts], made.sha256) == whole
    assert b"".join(gzip.decompress(part.content) for part in made.parts) == canonical_json(whole)
    listed = made.listing()
    assert [part["sha256"] for part in listed["parts"]] == [part.sha256 for part in made.parts]
    assert made == capture.bundle(whole, "lead-1-inputs")


def test_gzip_holds_no_time() -> None:
    assert capture.pack(b"x")[4:8] == b"\0\0\0\0"


@pytest.mark.parametrize("damage", ["cut", "altered", "doubled", "not gzip"])
def test_damaged_parts_are_refused(damage: str) -> None:
    made = capture.bundle(document("some words"), "x")
    good = made.parts[0].content
    other = capture.bundle(document("other words"), "x").parts[0].content
    bad = {"cut": good[:-9], "altered": other, "doubled": good + good, "not gzip": b"{}"}[damage]
    with pytest.raises(ArtifactCorrupt):
        capture.unbundle([bad], made.sha256)


def test_a_gzip_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MOST_BYTES", 1_000_000)
    with pytest.raises(InvalidInput, match="more than 1000000 bytes"):
        capture.unbundle([capture.pack(b" " * 50_000_000)], "0" * 64)


def test_inputs_of_no_schema_are_refused() -> None:
    with pytest.raises(InvalidInput, match="without a schema"):
        capture.parse(b"[]")
    with pytest.raises(InvalidInput, match="not JSON"):
        capture.parse(b"{")


def test_all_logs_are_full_capture() -> None:
    kept = capture.enrich(lambda: [{"event": "a"}, {"event": "b\0c"}], enabled=True)
    assert (kept.status, kept.reason, kept.logs) == ("full", None, [{"event": "a"}, {"event": "bc"}])


def test_long_logs_are_truncated_with_a_reason() -> None:
    kept = capture.enrich(lambda: [{"event": str(number)} for number in range(502)], enabled=True)
    assert (kept.status, kept.reason) == ("truncated", "the first 2 of 502 log lines are left out")
    assert (kept.logs[0], kept.logs[-1]) == ({"event": "2"}, {"event": "501"})


def test_a_failing_log_degrades_and_blocks_nothing() -> None:
    def collect() -> Sequence[dict[str, Any]]:
        raise OSError("disk on fire")

    kept = capture.enrich(collect, enabled=True)
    assert kept.status == "degraded"
    assert "disk on fire" in str(kept.reason)


def test_switched_off_says_so() -> None:
    assert capture.enrich(lambda: [{"event": "a"}], enabled=False) == capture.Enrichment(
        [], "disabled", "ENABLE_REPORT_LINEAGE is off"
    )
