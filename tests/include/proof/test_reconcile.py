"""The reconciler on a real ledger, a real lineage server, and an Airflow that answers over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from include.errors import ConfigurationError, InvalidInput, ProviderRefused, ProviderUnavailable
from include.ledger.jobs import close_job
from include.ledger.session import transaction
from include.marquez.client import MarquezClient
from include.operators.whereabouts import Airflow, connect
from include.proof.differences import compare
from include.proof.reconcile import reconcile
from include.proof.replay import Sent, reset, send
from include.proof.requeue import MOST_DELIVERIES
from include.proof.verify import oracle, verify
from include.settings import settings
from tests.include.lineage.by_function import ByFunction
from tests.include.proof.airflow_api import PASSWORD, serving
from tests.include.proof.made_runs import ADMIT, FAIL, SHOUT, deliver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.include.proof.made_runs import Made

pytestmark = pytest.mark.slow

Answers = dict[str, dict[str, Any]]


@pytest.fixture
def answers() -> Answers:
    """What Airflow says; a test fills it."""
    return {}


@pytest.fixture
def airflow(answers: Answers) -> Iterator[Airflow]:
    with serving(answers) as url, Airflow(url, "service", PASSWORD) as client:
        yield client


@pytest.fixture
def server(lineage_server: Any) -> Iterator[MarquezClient]:
    """A lineage server of this test's own."""
    with lineage_server.another() as own, MarquezClient(own.url) as client:
        yield client


def task(name: str, state: str | None, **changes: Any) -> Answers:
    ended = datetime.now(UTC).isoformat() if state in {"success", "failed", "skipped"} else None
    return {
        f"manual__1/taskInstances/{name}/-1": {"state": state, "try_number": 1, "end_date": ended, **changes}
    }


def dag(state: str) -> Answers:
    return {"manual__1": {"state": state, "end_date": datetime.now(UTC).isoformat()}}


def synthesised(made: Made, **options: Any) -> dict[str, str]:
    done = reconcile(made.dsn, grace_s=0.0, **options)
    return {one.job_name: one.event_type for one in done.synthesised}


def facet(made: Made, run: UUID, kind: str) -> dict[str, Any]:
    ((body,),) = made.sql("SELECT body FROM event WHERE run_id = %s AND event_type = %s", run, kind)
    found: dict[str, Any] = body["run"]["facets"]["throughline_job"]
    return found


# --- without Airflow --------------------------------------------------------------------------------------------------


def test_an_end_is_made_from_the_facts_once_the_grace_is_over(made: Made) -> None:
    made.tell(made.event("admit", "START", -1), made.event("shout", "START", -1))
    assert reconcile(made.dsn, grace_s=3600.0).synthesised == ()
    assert synthesised(made) == {"test.admit": "COMPLETE", "test.shout": "COMPLETE"}
    ((body,),) = made.sql(
        "SELECT body FROM event WHERE run_id = %s AND event_type = 'COMPLETE'", made.runs["shout"]
    )
    told = body["run"]["facets"]["throughline_job"]
    assert told["reconciled"] is True
    assert [item["kind"] for item in told["artifacts"]] == ["script"]
    assert [item["name"] for item in body["inputs"]] == ["media/trends"]
    assert synthesised(made) == {}
    made.an_hour_passes()
    with transaction() as session:
        assert verify(session, skip=["I8"]) == []


def test_a_stage_run_that_no_event_told_of_gets_a_start_and_an_end(made: Made) -> None:
    parent = {"run": {"runId": str(made.runs["test"])}, "job": {"namespace": "throughline", "name": "test"}}
    sibling = made.event("open_job", "START", -1, run=uuid4())
    sibling["run"]["facets"]["parent"] = parent
    made.tell(sibling)
    done = reconcile(made.dsn, grace_s=0.0).synthesised
    assert sorted((one.job_name, one.event_type) for one in done) == [
        ("test.admit", "COMPLETE"),
        ("test.admit", "START"),
        ("test.shout", "COMPLETE"),
        ("test.shout", "START"),
    ]
    ((start,),) = made.sql(
        "SELECT body FROM event WHERE run_id = %s AND event_type = 'START'", made.runs["shout"]
    )
    assert start["run"]["facets"]["throughline_job"]["reconciled"] is True
    assert start["run"]["facets"]["parent"] == parent
    assert start["job"]["facets"]["jobType"]["jobType"] == "TASK"
    assert [item["name"] for item in start["outputs"]] == ["media/scripts"]
    times = dict(made.sql("SELECT event_type, event_time FROM event WHERE run_id = %s", made.runs["shout"]))
    assert times["START"] < times["COMPLETE"]
    assert reconcile(made.dsn, grace_s=0.0).synthesised == ()


def test_an_end_without_a_start_gets_one_that_lies_before_it(made: Made) -> None:
    made.tell(made.event("shout", "COMPLETE", 0))
    assert {(one.job_name, one.event_type) for one in reconcile(made.dsn, grace_s=0.0).synthesised} >= {
        ("test.shout", "START")
    }
    with transaction() as session:
        assert verify(session, only=["I7"]) == []


def test_a_killed_and_a_failed_attempt_are_aborted_and_failed(made: Made) -> None:
    with pytest.raises(InvalidInput):
        made.runs["fail"] = made.run(FAIL, run := uuid4())
    made.runs["fail"] = run
    made.tell(*(made.event(name, "START", -1) for name in ("shout", "fail")))
    made.sql("UPDATE stage_run SET status = 'stale', facts = NULL WHERE stage = 'shout'")
    assert synthesised(made) == {"test.shout": "ABORT", "test.fail": "FAIL", "test.admit": "COMPLETE"}


def test_a_failure_that_nobody_told_of_is_told_with_its_reason(made: Made) -> None:
    with pytest.raises(InvalidInput):
        made.runs["fail"] = made.run(FAIL, run := uuid4(), says="no way to db://me:pw123@h")
    made.runs["fail"] = run
    made.tell(made.event("fail", "START", -2))
    made.an_hour_passes()
    assert synthesised(made)["test.fail"] == "FAIL"
    ((error,),) = made.sql(
        "SELECT body #> '{run,facets,errorMessage}' FROM event WHERE event_type = 'FAIL' AND run_id = %s", run
    )
    assert (error["message"], error["programmingLanguage"]) == (
        "InvalidInput: no way to db://***@h",
        "python",
    )


def test_without_airflow_only_what_the_ledger_is_sure_of_is_ended(made: Made) -> None:
    made.tell(made.event("open_job", "START", -1, run=uuid4()), made.event(None, "START", -1))
    made.sql("UPDATE stage_run SET ol_run_id = NULL")
    assert synthesised(made) == {}
    with transaction() as session:
        close_job(session, made.job, dag_id="test", run_id="manual__1", status="failed")
    assert synthesised(made) == {"test": "FAIL"}


# --- with Airflow -----------------------------------------------------------------------------------------------------


def test_a_run_that_airflow_calls_alive_is_left_alone(made: Made, airflow: Airflow, answers: Answers) -> None:
    made.tell(*(made.event(name, "START", -1) for name in ("admit", "shout", None)))
    answers |= task("admit", "running") | task("shout", "awaiting_input") | dag("running")
    assert synthesised(made, orchestrator=airflow) == {}


def test_airflow_decides_where_the_ledger_has_no_facts(
    made: Made, airflow: Airflow, answers: Answers
) -> None:
    made.sql("UPDATE stage_run SET ol_run_id = NULL")
    states = {"a": "success", "b": "failed", "c": "skipped", "d": "up_for_retry", "e": "upstream_failed"}
    for name, state in states.items():
        made.runs[name] = uuid4()
        made.tell(made.event(name, "START", -1))
        answers |= task(name, state)
    made.runs["gone"] = uuid4()
    made.tell(made.event("gone", "START", -1), made.event(None, "START", -1))
    answers |= dag("success")
    assert synthesised(made, orchestrator=airflow) == {
        "test.a": "COMPLETE",
        "test.b": "FAIL",
        "test.c": "COMPLETE",
        "test.d": "ABORT",
        "test.e": "FAIL",
        "test.gone": "ABORT",
        "test": "COMPLETE",
    }
    assert facet(made, made.runs["gone"], "ABORT")["reconciled"] is True


def test_another_try_and_another_clearing_end_what_was_before(
    made: Made, airflow: Airflow, answers: Answers
) -> None:
    made.tell(made.event("admit", "START", -1), made.event(None, "START", -2))
    answers |= task("admit", "running", try_number=2) | task("shout", "running") | dag("running")
    made.tell(made.event(None, "START", -1, run=uuid4()))
    made.sql("UPDATE stage_run SET ol_run_id = NULL")
    assert synthesised(made, orchestrator=airflow) == {"test.admit": "ABORT", "test": "ABORT"}
    assert len(made.sql("SELECT 1 FROM event WHERE event_type = 'ABORT' AND job_name = 'test'")) == 1


def test_a_stage_whose_task_died_while_it_ran_is_over(made: Made, airflow: Airflow, answers: Answers) -> None:
    made.sql("UPDATE stage_run SET status = 'running', finished_at = NULL, facts = NULL")
    made.tell(made.event("admit", "START", -1), made.event("shout", "START", -1))
    answers |= task("admit", "failed") | task("shout", "running")
    assert synthesised(made, orchestrator=airflow) == {"test.admit": "FAIL"}
    assert dict(made.sql("SELECT stage, status FROM stage_run")) == {"admit": "stale", "shout": "running"}


def test_a_mapped_task_is_asked_for_by_its_index(made: Made, airflow: Airflow, answers: Answers) -> None:
    start = made.event("admit", "START", -1)
    start["run"]["facets"]["airflow"]["taskInstance"]["map_index"] = 3
    made.tell(start)
    made.sql("UPDATE stage_run SET ol_run_id = NULL")
    answers |= task("admit", "success")
    answers["manual__1/taskInstances/admit/3"] = {"state": "running", "try_number": 1, "end_date": None}
    assert synthesised(made, orchestrator=airflow) == {}


def test_an_airflow_that_stops_answering_leaves_the_ledger_to_decide(made: Made, answers: Answers) -> None:
    made.tell(made.event("admit", "START", -1), made.event("shout", "START", -1))
    with serving(answers) as url:
        asked = Airflow(url, "service", PASSWORD)
    assert synthesised(made, orchestrator=asked) == {"test.admit": "COMPLETE", "test.shout": "COMPLETE"}


def test_a_wrong_password_and_a_missing_account_say_so(
    made: Made, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(answers) as url, pytest.raises(ProviderUnavailable, match="/auth/token"):
        Airflow(url, "service", "wrong")
    monkeypatch.delenv("THROUGHLINE_AIRFLOW_PASSWORD", raising=False)
    settings.cache_clear()
    with pytest.raises(ConfigurationError, match="THROUGHLINE_AIRFLOW_PASSWORD"):
        connect()


# --- one end per run --------------------------------------------------------------------------------------------------


def stands(made: Made) -> list[tuple[str, bool, bool]]:
    """The ends of the run of `shout`: type, withdrawn, waits for delivery."""
    return [
        (kind, withdrawn is not None, delivered is None)
        for kind, withdrawn, delivered in made.sql(
            "SELECT event_type, withdrawn_at, delivered_at FROM event WHERE run_id = %s AND event_type <> 'START'"
            " ORDER BY seq",
            made.runs["shout"],
        )
    ]


def test_a_late_real_end_stands_against_a_synthesised_one(made: Made, server: MarquezClient) -> None:
    inputs, outputs = (
        [{"namespace": "throughline", "name": name}] for name in ("media/trends", "media/scripts")
    )
    made.tell(made.event("shout", "START", -1, inputs=inputs, outputs=outputs))
    made.sql("UPDATE stage_run SET status = 'stale' WHERE stage = 'shout'")
    reconcile(made.dsn, grace_s=0.0)
    deliver(made.dsn, server.deliver)
    made.sql("UPDATE stage_run SET status = 'succeeded' WHERE stage = 'shout'")
    made.tell(made.event("shout", "COMPLETE", 1))
    with transaction() as session:
        assert [finding.subject for finding in verify(session, only=["I7"])] == [str(made.runs["shout"])]
    (withdrawn,) = reconcile(made.dsn, grace_s=0.0).withdrawn
    assert (withdrawn.run_id, withdrawn.job_name) == (made.runs["shout"], "test.shout")
    assert stands(made) == [("ABORT", True, False), ("COMPLETE", False, True)]
    deliver(made.dsn, server.deliver)
    with transaction() as session:
        assert oracle(session, server) == []
    shown = server.run(made.runs["shout"])
    assert shown is not None
    assert shown["state"] == "COMPLETED"
    assert reconcile(made.dsn, grace_s=0.0).withdrawn == ()


def test_a_real_end_stands_even_when_the_synthesised_one_says_it_was_later(
    made: Made, server: MarquezClient
) -> None:
    made.sql("UPDATE stage_run SET ol_run_id = NULL WHERE stage = 'admit'")
    invented = made.event("shout", "ABORT", 5)
    invented["run"]["facets"]["throughline_job"]["reconciled"] = True
    made.tell(made.event("shout", "START", -1), made.event("shout", "COMPLETE", 0), invented)
    reconcile(made.dsn, grace_s=0.0)
    assert stands(made) == [("COMPLETE", False, True), ("ABORT", True, False)]
    deliver(made.dsn, server.deliver)
    with transaction() as session:
        assert oracle(session, server) == []


def test_of_two_real_ends_the_later_stands_and_is_the_last_that_a_server_hears(made: Made) -> None:
    made.tell(*(made.event("shout", kind, at) for kind, at in (("START", -1), ("FAIL", 2), ("COMPLETE", 1))))
    got: list[str] = []
    deliver(made.dsn, lambda event: got.append(event["eventType"]))
    assert got == ["START", "FAIL", "COMPLETE"]
    made.sql(
        "UPDATE event SET delivered_at = delivered_at + interval '1 second' WHERE event_type = 'COMPLETE'"
    )
    reconcile(made.dsn, grace_s=0.0)
    assert stands(made) == [("FAIL", False, True), ("COMPLETE", True, False)]
    deliver(
        made.dsn,
        lambda event: got.append(event["eventType"]) if event["job"]["name"] == "test.shout" else None,
    )
    assert got[-1] == "FAIL"


def test_a_withdrawn_end_is_never_sent_again(made: Made) -> None:
    made.tell(made.event("shout", "FAIL", 1), made.event("shout", "COMPLETE", 2))
    reconcile(made.dsn, grace_s=0.0)
    reset(made.dsn)
    got: list[str] = []
    deliver(made.dsn, lambda event: got.append(f"{event['job']['name']} {event['eventType']}"))
    assert "test.shout COMPLETE" in got
    assert "test.shout FAIL" not in got
    got.clear()
    send(made.dsn, ByFunction(lambda event: got.append(f"{event['job']['name']} {event['eventType']}")))
    assert got
    assert "test.shout FAIL" not in got


# --- what the server lost ---------------------------------------------------------------------------------------------


def differences(client: MarquezClient) -> set[str]:
    with transaction() as session:
        return {difference.what for difference in compare(session, client).differences}


@pytest.fixture
def delivered(made: Made, server: MarquezClient) -> Made:
    """Every event was told and is in the server."""
    reconcile(made.dsn, grace_s=0.0)
    made.tell(made.event(None, "START", -2), made.event(None, "COMPLETE", -1))
    deliver(made.dsn, server.deliver)
    assert differences(server) == set()
    return made


def test_what_the_server_lost_is_sent_again_until_nothing_differs(
    delivered: Made, server: MarquezClient, lineage_server: Any
) -> None:
    with lineage_server.another() as empty, MarquezClient(empty.url) as client:
        assert differences(client) >= {"run", "job", "dataset"}
        assert reconcile(delivered.dsn, client=client).requeued == 6
        deliver(delivered.dsn, client.deliver)
        assert differences(client) == set()
        assert reconcile(delivered.dsn, client=client).requeued == 0
        with transaction() as session:
            assert oracle(session, client) == []


def test_what_a_server_cannot_hold_is_not_sent_for_ever(delivered: Made, lineage_server: Any) -> None:
    with lineage_server.another() as empty, MarquezClient(empty.url) as client:
        requeued = []
        for _ in range(MOST_DELIVERIES):
            requeued.append(reconcile(delivered.dsn, client=client).requeued)
            deliver(delivered.dsn, lambda event: None)
        assert requeued == [6] * (MOST_DELIVERIES - 1) + [0]
        assert differences(client) >= {"run"}


def test_where_only_the_state_differs_the_end_alone_is_sent(delivered: Made, server: MarquezClient) -> None:
    late = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    server.deliver(delivered.event("shout", "COMPLETE", eventTime=late) | {"eventType": "FAIL"})
    delivered.sql(
        "UPDATE event SET event_time = %s, body = jsonb_set(body, '{eventTime}', to_jsonb(%s::text))"
        " WHERE event_type = 'COMPLETE' AND run_id = %s",
        late,
        late,
        delivered.runs["shout"],
    )
    assert "state" in differences(server)
    reconcile(delivered.dsn, client=server)
    waiting = delivered.sql("SELECT job_name, event_type FROM event WHERE delivered_at IS NULL")
    assert ("test.shout", "COMPLETE") in waiting


def test_a_comparison_may_be_bounded_to_runs_that_spoke_lately(
    delivered: Made, server: MarquezClient
) -> None:
    with transaction() as session:
        assert compare(session, server, since=datetime.now(UTC) + timedelta(hours=1)).runs == 0
        assert compare(session, server, since=datetime.now(UTC) - timedelta(hours=1)).runs == 3


# --- the view is disposable -------------------------------------------------------------------------------------------


def test_a_replay_fills_an_empty_server_and_nothing_differs(delivered: Made, lineage_server: Any) -> None:
    made = delivered
    made.run(SHOUT, loud=False)
    made.run(ADMIT, made.runs["admit"])
    reconcile(made.dsn, grace_s=0.0)
    before = made.sql("SELECT seq, delivered_at, attempts FROM event ORDER BY seq")
    with lineage_server.another() as empty, MarquezClient(empty.url) as client:
        assert send(made.dsn, client) == Sent(taken=len(before))
        assert differences(client) == set()
    assert made.sql("SELECT seq, delivered_at, attempts FROM event ORDER BY seq") == before


@pytest.mark.parametrize("chunk", [1, 2, 500])
def test_a_replay_leaves_out_the_run_that_is_refused_and_no_other(
    made: Made, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    made.sql("DELETE FROM event")
    told = [("admit", "START"), ("shout", "START"), ("admit", "COMPLETE"), ("shout", "COMPLETE")]
    made.tell(*(made.event(task, kind, minute) for minute, (task, kind) in enumerate(told)))
    first = str(made.runs["admit"])
    bodies = [body for (body,) in made.sql("SELECT body FROM event ORDER BY seq")]
    of_first = [body for body in bodies if body["run"]["runId"] == first]
    got: list[dict[str, Any]] = []

    def take(event: dict[str, Any]) -> None:
        if event["run"]["runId"] == first:
            raise ProviderRefused("not this run")
        got.append(event)

    monkeypatch.setattr("include.proof.replay.CHUNK", chunk)
    steps: list[tuple[int, int]] = []
    sent = send(made.dsn, ByFunction(take), progress=lambda done, total: steps.append((done, total)))
    assert got == [body for body in bodies if body["run"]["runId"] != first]
    assert sent.taken == len(got) > 0
    assert [one.run_id for one in sent.refused] == [first] * len(of_first)
    assert sent.refused[0].error == "422: not this run"
    assert steps[-1] == (len(bodies), len(bodies))
    assert len(steps) == -(-len(bodies) // chunk)


def test_a_dead_event_is_replayed(made: Made) -> None:
    made.tell(made.event("shout", "START"))
    made.sql("UPDATE event SET dead_at = now(), last_error = '422'")
    assert reset(made.dsn, dead=True) == 1
    assert made.sql("SELECT dead_at, attempts FROM event") == [(None, 0)]
