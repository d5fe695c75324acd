"""A backfill of `medallion` over REST: partitions that differ, an explicit skip, and no second making."""

from __future__ import annotations

import csv
import io
import time
from typing import Any

import pytest

pytestmark = pytest.mark.stack


def as_csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def wait_for_backfill(stack: Any, backfill_id: int, minutes: float = 8) -> None:
    deadline = time.monotonic() + 60 * minutes
    while stack.api.backfill(backfill_id)["completed_at"] is None:
        if time.monotonic() > deadline:
            pytest.fail(f"backfill {backfill_id} does not complete")
        time.sleep(1)


def test_three_dates_give_three_partitions_and_a_missing_date_is_skipped(stack: Any) -> None:
    rows = list(csv.reader(io.StringIO(stack.sample_trends())))
    days = ["2019-03-01", "2019-03-02", "2019-03-04"]
    for number, day in enumerate(days):
        (stack.sources / "trends" / f"{day}.csv").write_text(
            as_csv(rows[: len(rows) - 3 * number]), newline=""
        )
    started = stack.api.create_backfill(
        "medallion", "2019-03-01T00:00:00Z", "2019-03-04T00:00:00Z", {"tables": ["trends"]}
    )
    wait_for_backfill(stack, started["id"])
    versions = stack.query(
        "SELECT partition, a.sha256 FROM table_version v JOIN artifact a USING (artifact_id)"
        " WHERE layer = 'gold' AND table_name = 'trends' AND partition LIKE '2019-03-%%' AND v.superseded_at IS NULL"
    )
    assert sorted(row["partition"] for row in versions) == days
    assert len({row["sha256"] for row in versions}) == 3
    skipped = stack.query(
        "SELECT r.error FROM stage_run r WHERE stage = 'trends.ingest' AND key = '2019-03-03' AND status = 'skipped'"
    )
    assert len(skipped) == 1
    assert "2019-03-03" in skipped[0]["error"]
