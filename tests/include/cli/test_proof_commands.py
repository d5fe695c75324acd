"""`throughline verify`, `reconcile` and `replay` on a real ledger and real lineage servers: text, JSON, exit status."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from include.artifacts.store import Store
from include.cli import cli
from include.marquez.client import MarquezClient
from include.proof.reconcile import reconcile
from include.settings import settings
from tests.include.proof.made_runs import Made, deliver, make

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.slow


@pytest.fixture
def server(lineage_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a lineage server of this test's own, which the settings name."""
    with lineage_server.another() as own:
        monkeypatch.setenv("MARQUEZ_URL", own.url)
        monkeypatch.delenv("THROUGHLINE_AIRFLOW_PASSWORD", raising=False)
        settings.cache_clear()
        yield own.url


@pytest.fixture
def made(ledger: str, tmp_path: Path, server: str) -> Made:
    """A finished job whose events the server has."""
    found = make(ledger, tmp_path)
    reconcile(ledger, grace_s=0.0)
    relay(found, server)
    found.an_hour_passes()
    return found


def relay(made: Made, url: str) -> None:
    with MarquezClient(url) as client:
        deliver(made.dsn, client.deliver)


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def test_a_sound_system_is_verified(made: Made) -> None:
    told = run("verify")
    assert told.exit_code == 0, told.output
    assert "3 of 3 files traced" in told.stdout
    assert "lineage: 2 jobs, 3 datasets, 2 runs, 0 differences" in told.stdout
    assert told.stdout.endswith("all invariants hold\n")
    assert "lineage: 0 jobs, 0 datasets, 0 runs, 0 differences" in run("verify", "--days", "0.01").stdout


def test_findings_are_named_with_their_remedy_and_the_status_is_1(made: Made) -> None:
    one, *_ = Store(settings().store).blobs()
    one.unlink()
    told = run("verify", "--no-server")
    assert told.exit_code == 1
    assert (
        f"I3 every file is there with its size and digest: blobs/{one.parent.name}/{one.name}: the file is missing"
        in (told.stdout)
    )
    found = json.loads(run("verify", "--json", "--only", "I3").stdout)
    assert [(item["invariant"], item["problem"]) for item in found["findings"]] == [
        ("I3", "the file is missing")
    ]
    assert found["lineage"] is None
    assert run("verify", "--only", "I2", "--only", "I7").exit_code == 0
    assert run("verify", "--job", str(made.job), "--no-server").exit_code == 1


def test_an_unknown_invariant_is_refused_with_status_2(made: Made) -> None:
    told = run("verify", "--only", "I99")
    assert told.exit_code == 2
    assert "I99" in told.stderr


def test_repair_mends_what_can_be_mended(made: Made, server: str) -> None:
    made.sql("DELETE FROM event WHERE event_type = 'COMPLETE'")
    made.tell(made.event("shout", "ABORT", 1, inputs=[], outputs=[]), made.event("shout", "COMPLETE", 2))
    assert run("verify", "--no-server", "--only", "I2", "--only", "I7").exit_code == 1
    told = run("verify", "--repair", "--no-server", "--json", "--only", "I2", "--only", "I7")
    assert told.exit_code == 0, told.output
    mended = json.loads(told.stdout)["repaired"]
    assert [one["job_name"] for one in mended["synthesised"]] == ["test.admit"]
    assert [one["job_name"] for one in mended["withdrawn"]] == ["test.shout"]
    assert "the ledger decides alone" in told.stderr


def test_what_a_new_server_lacks_is_requeued_and_then_nothing_differs(
    made: Made, lineage_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lineage_server.another() as empty:
        monkeypatch.setenv("MARQUEZ_URL", empty.url)
        settings.cache_clear()
        assert run("verify").exit_code == 1
        told = run("reconcile")
        assert (told.exit_code, told.stdout.splitlines()[-1]) == (
            0,
            "0 events synthesised, 0 runs left with one end, 4 events wait to be sent again",
        )
        relay(made, empty.url)
        assert run("verify").exit_code == 0


def test_a_replay_into_another_server_leaves_no_difference_there(made: Made, lineage_server: Any) -> None:
    with lineage_server.another() as empty:
        before = run("reconcile", "--to", empty.url)
        assert before.exit_code == 1
        assert "no such run" in before.stdout
        assert run("replay", "--to", empty.url).stdout == f"4 events sent to {empty.url}\n"
        again = run("replay", "--to", empty.url, "--json")
        assert json.loads(again.stdout) == {"taken": 4, "refused": []}
        after = run("reconcile", "--to", empty.url)
        assert (after.exit_code, after.stdout) == (
            0,
            f"{empty.url}: 2 jobs, 3 datasets, 2 runs, 0 differences\n",
        )
        assert json.loads(run("reconcile", "--to", empty.url, "--json").stdout)["differences"] == []


def test_a_replay_and_a_comparison_open_another_server_with_the_token_of_a_variable(
    made: Made, lineage_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lineage_server.another(MARQUEZ_TOKEN="s3cret") as locked:
        assert run("replay", "--to", locked.url).exit_code == 2
        missing = run("replay", "--to", locked.url, "--token-variable", "TOKEN_OF_MINE")
        assert (missing.exit_code, "no TOKEN_OF_MINE" in missing.stderr) == (2, True)
        monkeypatch.setenv("TOKEN_OF_MINE", "s3cret")
        told = run("replay", "--to", locked.url, "--token-variable", "TOKEN_OF_MINE")
        assert told.stdout == f"4 events sent to {locked.url}\n"
        assert run("reconcile", "--to", locked.url, "--token-variable", "TOKEN_OF_MINE").exit_code == 0
