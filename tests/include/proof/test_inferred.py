"""Where a lineage server's inferred inputs differ from the bytes that were read: exactly those, and no others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from include.cli import cli
from include.ledger.session import transaction
from include.marquez.client import MarquezClient
from include.proof.inferred import misread
from include.proof.reconcile import reconcile
from include.settings import settings
from tests.include.proof.made_runs import ADMIT, SHOUT, deliver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.proof.inferred import Inferred
    from tests.include.proof.made_runs import Made


@pytest.fixture
def server(lineage_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[MarquezClient]:
    """A lineage server of this test's own, which the settings name."""
    with lineage_server.another() as own, MarquezClient(own.url) as client:
        monkeypatch.setenv("MARQUEZ_URL", own.url)
        settings.cache_clear()
        yield client


def tell(made: Made, server: MarquezClient) -> None:
    """Make events of the facts, in the order of what happened, and deliver them."""
    reconcile(made.dsn, grace_s=0.0)
    deliver(made.dsn, server.deliver)


def asked(server: MarquezClient) -> Inferred:
    with transaction() as session:
        return misread(session, server)


def digest(made: Made, run: object) -> str:
    ((found,),) = made.sql(
        "SELECT sha256 FROM artifact JOIN stage_run USING (stage_run_id) WHERE ol_run_id = %s AND artifact.kind = 'trends'",
        run,
    )
    assert isinstance(found, str)
    return found


def test_a_consumer_that_read_what_is_current_is_no_difference(made: Made, server: MarquezClient) -> None:
    tell(made, server)
    found = asked(server)
    assert found.inputs >= 1
    assert (found.partial, found.misread) == (0, ())


def test_a_producer_that_ran_twice_between_a_read_and_its_event_is_the_one_row(
    made: Made, server: MarquezClient
) -> None:
    tell(made, server)
    read = digest(made, made.runs["admit"])
    consumer = made.run(SHOUT, loud=False)  # reads now; nobody hears of it yet
    made.sql("UPDATE stage_run SET ol_run_id = NULL WHERE ol_run_id = %s", consumer)
    later = []
    for words in ("second line", "third line"):
        made.words.write_text(words)
        later.append(made.run(ADMIT))
        tell(made, server)
    made.sql(
        "UPDATE stage_run SET ol_run_id = %s, started_at = now(), finished_at = now()"
        " WHERE stage = 'shout' AND ol_run_id IS NULL",
        consumer,
    )
    tell(made, server)  # the server places the consumer's run here, after the second and third
    (row,) = asked(server).misread
    assert (row.run_id, row.job_id, row.job_name, row.dataset) == (
        consumer,
        made.job,
        "test.shout",
        "media/trends",
    )
    assert row.actual == (read,)
    assert row.inferred == (digest(made, later[1]),)
    assert row.inferred_by == str(later[1])
    shown = CliRunner().invoke(cli, ["inputs-differ"])
    assert shown.exit_code == 1
    assert str(row) in shown.stdout
    told = json.loads(CliRunner().invoke(cli, ["inputs-differ", "--json", "--job", str(made.job)]).stdout)
    assert [one["run_id"] for one in told["misread"]] == [str(consumer)]
    other = CliRunner().invoke(cli, ["inputs-differ", "--job", str(uuid4())])
    assert (other.exit_code, other.stdout.split(",")[0]) == (0, "0 inputs")


def test_a_dataset_that_several_runs_wrote_is_named_in_part(made: Made, server: MarquezClient) -> None:
    tell(made, server)
    ((body,),) = made.sql("SELECT facts FROM stage_run WHERE ol_run_id = %s", made.runs["shout"])
    second = {**body["inputs"][0], "sha256": "0" * 64}
    made.sql(
        "UPDATE stage_run SET facts = jsonb_set(facts, '{inputs}', %s::jsonb) WHERE ol_run_id = %s",
        json.dumps([*body["inputs"], second]),
        made.runs["shout"],
    )
    found = asked(server)
    assert (found.partial, found.misread) == (1, ())
