"""The event table: each event once, under its job, saying what it reads, makes and looks like."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from include.lineage.events import store_event
from tests.include.lineage.made_events import make_event


def test_an_event_is_stored_once(ledger: str, job: UUID) -> None:
    event = make_event(job, "video.review", "START", 0, uuid4())
    with psycopg.connect(ledger, autocommit=True) as connection:
        assert [store_event(connection, event) for _ in range(3)] == [True, False, False]


def test_an_event_of_an_unknown_job_stays_with_its_own_run(ledger: str, job: UUID) -> None:
    stranger = uuid4()
    with psycopg.connect(ledger, autocommit=True) as connection:
        store_event(connection, make_event(stranger, "video.review", "START", 0, uuid4()))
        rows = connection.execute("SELECT event.job_id, status FROM event JOIN job USING (job_id)").fetchall()
        assert connection.execute("SELECT count(*) FROM job WHERE job_id = %s", (stranger,)).fetchone() == (
            0,
        )
    assert [status for _, status in rows] == ["announced"]


def test_an_end_that_names_no_dataset_has_those_of_its_start(ledger: str, job: UUID) -> None:
    run = uuid4()
    start = make_event(job, "video.composition", "START", 0, run)
    start["inputs"] = [{"namespace": "throughline", "name": "media/scripts"}]
    start["outputs"] = [{"namespace": "throughline", "name": "media/videos"}]
    with psycopg.connect(ledger, autocommit=True) as connection:
        store_event(connection, start)
        store_event(connection, make_event(job, "video.composition", "FAIL", 1, run))
        rows = connection.execute(
            "SELECT body -> 'inputs', body -> 'outputs' FROM event ORDER BY seq"
        ).fetchall()
    assert rows[0] == rows[1] == (start["inputs"], start["outputs"])


def test_a_row_is_the_same_whatever_rows_the_connection_makes(ledger: str, job: UUID) -> None:
    """The relay, which takes the spool in, asks for dicts; tasks for tuples."""
    output = {"namespace": "throughline", "name": "lake/gold/trends"}
    shape = {"schema": {"fields": [{"name": "views"}]}}
    bodies = []
    with (
        psycopg.connect(ledger, autocommit=True) as tuples,
        psycopg.connect(ledger, autocommit=True, row_factory=dict_row) as dicts,
    ):
        tuples.execute(
            "INSERT INTO dataset_declaration (namespace, name, facets) VALUES ('throughline', 'lake/gold/trends', %s)",
            ('{"ownership": {"owners": []}}',),
        )
        for name, connection in (("medallion.a", tuples), ("medallion.b", dicts)):
            run = UUID(int=1) if connection is tuples else UUID(int=2)
            written = make_event(job, name, "COMPLETE", 0, uuid4())
            store_event(tuples, {**written, "outputs": [{**output, "facets": {"version": {}, **shape}}]})
            start = make_event(job, name, "START", 1, run)
            store_event(connection, {**start, "outputs": [{**output, "facets": {}}]})
            store_event(connection, make_event(job, name, "FAIL", 2, run))
            rows = tuples.execute(
                "SELECT body -> 'outputs' FROM event WHERE run_id = %s ORDER BY seq", (run,)
            )
            bodies.append(rows.fetchall())
    told = [{**output, "facets": {"ownership": {"owners": []}, **shape}}]
    assert bodies == [[(told,), (told,)]] * 2


def test_a_rehearsal_stays_local(ledger: str, job: UUID) -> None:
    event = make_event(job, "video.review", "START", 0, uuid4())
    event["run"]["facets"]["throughline_job"]["run_id"] = "__airflow_temporary_run_2026__"
    with psycopg.connect(ledger, autocommit=True) as connection:
        assert store_event(connection, event) is False
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (0,)


def test_outputs_that_were_not_written_look_as_they_did_last(ledger: str, job: UUID) -> None:
    shape = {"schema": {"fields": [{"name": "views"}]}, "columnLineage": {"fields": {"views": {}}}}
    output = {"namespace": "throughline", "name": "lake/gold/trends"}
    told = []
    with psycopg.connect(ledger, autocommit=True) as connection:
        for minute, kind, facets in (
            (0, "START", {"dataSource": {}}),
            (1, "COMPLETE", {"version": {}, **shape}),
            (2, "START", {"dataSource": {}}),
            (3, "COMPLETE", {"dataSource": {}}),
            (4, "START", {}),
            (5, "FAIL", {"schema": {"fields": []}}),
        ):
            event = make_event(job, "medallion.trends.gold", kind, minute, uuid4())
            store_event(connection, {**event, "outputs": [{**output, "facets": facets}]})
        other = make_event(job, "medallion.other", "START", 9, uuid4())
        store_event(connection, {**other, "outputs": [{**output, "facets": {}}]})
        for (outputs,) in connection.execute("SELECT body -> 'outputs' FROM event ORDER BY seq"):
            told += [item["facets"] for item in outputs]
    assert told == [
        {"dataSource": {}},
        {"version": {}, **shape},
        {"dataSource": {}, **shape},
        {"dataSource": {}, **shape},
        shape,
        {**shape, "schema": {"fields": []}},
        {},
    ]


def test_events_of_a_job_are_numbered_in_the_order_of_their_commits(ledger: str, job: UUID) -> None:
    """A relay that saw 11 before 10 would send them so: whoever is second waits for the first."""
    with psycopg.connect(ledger) as first, psycopg.connect(ledger, autocommit=True) as second:
        store_event(first, make_event(job, "video.a", "START", 0, uuid4()))
        assert store_event(second, make_event(job, "video.b", "START", 1, uuid4())), (
            "another job does not wait"
        )
        second.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            store_event(second, make_event(job, "video.a", "START", 2, uuid4()))
        first.commit()
        assert store_event(second, make_event(job, "video.a", "START", 2, uuid4()))
        times = second.execute(
            "SELECT event_time FROM event WHERE job_name = 'video.a' ORDER BY seq"
        ).fetchall()
    assert times == sorted(times)
