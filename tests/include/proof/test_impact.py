"""What is downstream of what: the same answer as a plain walk, in both directions, at any moment."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from include.cli import cli
from include.errors import InvalidInput
from include.ledger.session import transaction
from include.proof.impact import impact
from include.proof.target import Target, find
from include.proof.trace import downstream, upstream

sys.path.insert(0, str(Path(__file__).parent))
from made_ledger import BEGIN, Plan, below, moment, write

if TYPE_CHECKING:
    from uuid import UUID

pytestmark = pytest.mark.slow


@st.composite
def shapes(make: st.DrawFn) -> list[Plan]:
    """Artifacts in the order they are made: each from some earlier ones, or taking over the bytes of one."""
    plans: list[Plan] = []
    for number in range(make(st.integers(1, 12))):
        earlier = st.integers(0, number - 1) if number else st.nothing()
        inputs = make(st.sets(earlier, max_size=3)) if number else set()
        reuses = bool(inputs) and make(st.booleans())
        plans.append(
            Plan(
                inputs=tuple(sorted(inputs)),
                reused_from=make(earlier) if reuses else None,
                superseded_after=make(st.none() | st.integers(0, 4)),
                job=make(st.integers(0, 2)),
                dataset=make(st.sampled_from(("media/a", "media/b"))),
            )
        )
    return plans


def numbers(plans: list[Plan], ids: Any) -> set[int]:
    order = {plan.artifact_id: number for number, plan in enumerate(plans)}
    return {order[key] for key in ids}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans=shapes(), data=st.data())
def test_impact_is_the_mirror_of_trace_and_a_plain_walk_agrees(
    ledger: str, plans: list[Plan], data: st.DataObject
) -> None:
    write(ledger, plans)
    until = data.draw(st.integers(0, len(plans) - 1))
    now = datetime.now(UTC)
    with transaction() as session:
        lines = [upstream(session, plan.artifact_id, reuse=True) for plan in plans]
        for number, plan in enumerate(plans):
            target = Target("artifact", str(plan.artifact_id))
            found = impact(session, target)
            reached = numbers(plans, (item.artifact_id for item in found.affected))
            assert reached == below(plans, {number})
            assert reached == {
                other
                for other, line in enumerate(lines)
                if other != number and plan.artifact_id in line.makings
            }
            assert numbers(plans, downstream(session, plan.artifact_id, reuse=True).makings) == reached | {
                number
            }
            assert impact(session, target, as_of=now) == found
            then = impact(session, target, as_of=moment(until))
            assert numbers(plans, (item.artifact_id for item in then.affected)) == below(
                plans, {number}, until
            )
            for item in (*then.roots, *then.affected):
                made = numbers(plans, [item.artifact_id]).pop()
                end = plans[made].superseded_after
                assert item.is_current == (end is None or made + end > until)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans=shapes())
def test_the_impact_of_a_job_is_that_of_all_its_artifacts(ledger: str, plans: list[Plan]) -> None:
    job_ids = write(ledger, plans)
    with transaction() as session:
        for job, job_id in zip(sorted({plan.job for plan in plans}), job_ids, strict=True):
            own = {number for number, plan in enumerate(plans) if plan.job == job}
            found = impact(session, Target("job", str(job_id)))
            assert numbers(plans, (item.artifact_id for item in found.roots)) == own
            assert numbers(plans, (item.artifact_id for item in found.affected)) == below(plans, own)
            current = impact(session, Target("job", str(job_id)), only_current=True)
            assert current.roots == found.roots
            assert list(current.affected) == [item for item in found.affected if item.is_current]


def test_a_wide_line_is_cut_openly_and_keeps_the_nearest(ledger: str) -> None:
    plans = [Plan(), *(Plan(inputs=(0,)) for _ in range(30)), Plan(inputs=(30,))]
    write(ledger, plans)
    with transaction() as session:
        whole = downstream(session, plans[0].artifact_id)
        short = downstream(session, plans[0].artifact_id, limit=31)
    assert (len(whole.makings), whole.cut) == (32, False)
    assert numbers(plans, short.makings) == set(range(31))
    assert (len(short.edges), short.cut) == (30, True)


@pytest.fixture
def recall(ledger: str) -> list[UUID]:
    """A source, a lake table of it in two versions, a report of each in another job, and one that took over bytes."""
    plans = [
        Plan(dataset="sources/leads", content="leads", name="source-leads.csv"),
        Plan((0,), dataset="lake/bronze/leads", superseded_after=2, name="bronze.parquet"),
        Plan((1,), dataset="reports/lead_audit", job=1, name="audit.pdf", content="audit"),
        Plan((0,), dataset="lake/bronze/leads", name="bronze.parquet"),
        Plan((3,), dataset="reports/lead_audit", job=1, name="audit-2.pdf", theme="[bold]Theme"),
        Plan((3,), reused_from=4, dataset="reports/lead_audit", job=2, name="audit.pdf"),
        Plan(dataset="sources/trends", job=2),
    ]
    return write(ledger, plans)


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["impact", *words])
    return done.exit_code, done.output


def told(*words: str) -> dict[str, Any]:
    status, output = run(*words, "--json")
    assert status == 0, output
    found: dict[str, Any] = json.loads(output)
    return found


def test_a_dataset_a_file_a_digest_and_a_job_lead_down_to_files(recall: list[UUID], tmp_path: Path) -> None:
    first, second, third = recall
    file = tmp_path / "copied anywhere.csv"
    file.write_text("leads")
    names = {
        (f"out/{second}/audit.pdf", "reports/lead_audit"),
        (f"out/{second}/audit-2.pdf", "reports/lead_audit"),
        (f"out/{third}/audit.pdf", "reports/lead_audit"),
    }
    for what in ("lake/bronze/leads", str(first)):
        assert {(item["file"], item["dataset"]) for item in told(what)["affected"]} >= names
    by_file, by_dataset = told(str(file)), told("sources/leads")
    assert by_file["affected"] == by_dataset["affected"]
    assert len(by_file["affected"]) == 5
    assert by_file["target"]["kind"] == "bytes"
    assert by_file["affected"] == told(by_file["target"]["value"])["affected"]
    superseded = [item for item in by_file["affected"] if not item["is_current"]]
    assert [item["file"][:6] for item in superseded] == [
        "blobs/"
    ]  # its friendly path leads to the next version
    assert told(str(file), "--current")["affected"] == [
        item for item in by_file["affected"] if item["is_current"]
    ]
    assert told("sources/trends")["affected"] == []


def test_the_text_groups_by_job_and_dataset_and_takes_names_as_text(recall: list[UUID]) -> None:
    status, output = run("lake/bronze/leads")
    assert status == 0
    lines = output.splitlines()
    assert lines[1] == "2 artifacts of 1 job; made from them: 3 artifacts of 2 jobs"
    assert f"job {recall[1]}  test  [bold]Theme" in lines
    assert lines.count("  reports/lead_audit") == 2
    assert any(line.startswith(f"    out/{recall[2]}/audit.pdf") and "(reused)" in line for line in lines)


def test_as_of_a_time_tells_what_was_known_then(recall: list[UUID]) -> None:
    first_audit = (BEGIN + timedelta(minutes=2)).isoformat()
    then = told("sources/leads", "--as-of", first_audit)
    assert [item["file"] for item in then["affected"]][1:] == [f"out/{recall[1]}/audit.pdf"]
    assert [item["is_current"] for item in then["affected"]] == [True, True]
    assert told("sources/trends", "--as-of", first_audit)["roots"] == []
    _, output = run("sources/leads", "--as-of", "2026-01-01 00:02")
    assert "as of 2026-01-01T00:02:00+00:00 (no zone given: taken as UTC)" in output


def test_unknown_bytes_and_names_have_their_status(recall: list[UUID]) -> None:
    status, output = run("0" * 64)
    assert (status, "unknown" in output) == (1, True)
    for what, hint in (
        ("lake/bronce/leads", "lake/bronze/leads"),
        ("11111111-1111-4111-8111-111111111111", "neither a job nor an artifact"),
    ):
        status, output = run(what)
        assert (status, hint in output) == (2, True), output
    status, output = run("sources/leads", "--as-of", "2999-01-01")
    assert (status, "has not come yet" in output) == (2, True)
    with transaction() as session, pytest.raises(InvalidInput, match="no file, sha256, job"):
        find(session, "nothing like it")
