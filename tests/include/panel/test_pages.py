"""What the pages say, against what the ledger and the lineage server hold."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from include.marquez.client import MarquezClient

pytestmark = pytest.mark.slow

ABSENT = UUID("00000000-0000-4000-8000-000000000000")
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"


@pytest.fixture(scope="module")
def lineage(world: Any) -> str:
    """A chain of three jobs on the lineage server, the last one failed; return its namespace."""
    namespace = f"panel-{uuid4().hex[:8]}"
    with MarquezClient(world.environment["MARQUEZ_URL"]) as client:
        for minute, (job, reads, writes, end) in enumerate(
            [("d.one", "in", "a", "COMPLETE"), ("d.two", "a", "b", "COMPLETE"), ("d.three", "b", "c", "FAIL")]
        ):
            run = str(uuid4())
            for second, kind in ((0, "START"), (30, end)):
                client.deliver(
                    {
                        "eventType": kind,
                        "eventTime": f"2026-03-01T00:{minute:02}:{second:02}Z",
                        "producer": "https://example.org",
                        "schemaURL": SPEC,
                        "run": {"runId": run},
                        "job": {"namespace": namespace, "name": job},
                        "inputs": [{"namespace": namespace, "name": reads}],
                        "outputs": [{"namespace": namespace, "name": writes}],
                    }
                )
    return namespace


def test_every_answer_has_the_strict_headers(world: Any, panel: Any) -> None:
    addresses = [
        "/",
        f"/jobs/{world.job}",
        "/healthz",
        "/static/panel.css",
        f"/jobs/{ABSENT}",
        "/nowhere",
        "/run",
    ]
    for address in addresses:
        for user in ("admin", None):
            headers = panel.get(address, user).headers
            policy = headers["content-security-policy"]
            assert "default-src 'self'" in policy
            assert "object-src 'none'" in policy
            assert "frame-ancestors 'self'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            cached = headers["cache-control"]
            assert cached == "no-store" or (address.startswith("/static/") and "private" in cached)


def test_pages_hold_no_inline_script_or_style(world: Any, panel: Any, lineage: str) -> None:
    video = world.artifacts(world.job)["video"]["artifact_id"]
    graph = f"/graph?node=job:{lineage}:d.two"
    for address in ("/", f"/jobs/{world.job}", f"/artifacts/{video}", graph, "/trace", f"/jobs/{ABSENT}"):
        page = panel.page(address, status=404 if str(ABSENT) in address else 200)
        scripts = page.all("script")
        assert [set(script) for script in scripts] == [{"src"}]
        assert scripts[0]["src"].startswith("/lineage/static/panel.js?v=")
        assert page.all("style") == []
        assert page.values("style") == []
        foreign = [link for link in [*page.values("href"), *page.values("src")] if "//" in link]
        assert foreign == []


@pytest.mark.parametrize(
    "address",
    [
        f"/jobs/{ABSENT}",
        "/jobs/no-uuid",
        f"/artifacts/{ABSENT}",
        f"/artifacts/{ABSENT}/file",
        "/artifacts/1",
        f"/blobs/{'0' * 64}",
        "/blobs/x",
        "/run?dag_id=nothing&run_id=nothing",
        f"/trace?digest={'0' * 64}",
        "/graph?node=job:nothing:nothing",
        "/static/nothing.css",
        "/nowhere",
    ],
)
def test_what_is_not_there_is_404_as_a_page_and_as_data(panel: Any, address: str) -> None:
    assert panel.get(address).status_code == 404
    assert "Throughline" in panel.get(address).text
    if not address.startswith("/trace"):
        assert set(panel.get(address, html=False).json()) == {"detail"}


@pytest.mark.parametrize(
    "address",
    ["/?page=0", "/graph?node=x", "/graph?node=job:a:b&depth=999", "/run", "/trace?digest=no%20digest"],
)
def test_what_cannot_be_meant_is_400(panel: Any, address: str) -> None:
    assert panel.get(address).status_code == 400


def test_the_list_names_jobs_newest_first_with_state_server_and_backlog(world: Any, panel: Any) -> None:
    page = panel.page("/")
    jobs = [str(job) for job in (world.mixed, world.secret, world.broken, world.again, world.job)]
    order = [link.rpartition("/")[2] for link in page.values("href") if "/jobs/" in link]
    assert [job for job in order if job in jobs] == jobs
    assert "embedded" in page.text
    assert "Events waiting for it 0" in page.text


def test_the_list_is_filtered_by_status_and_family(world: Any, panel: Any) -> None:
    def jobs(query: str) -> set[str]:
        return {link.rpartition("/")[2] for link in panel.page(query).links() if "/jobs/" in link}

    assert jobs("/?status=failed") == {str(world.broken)}
    assert jobs("/?family=campaign") == {str(world.mixed)}
    assert jobs("/?status=failed&family=campaign") == set()
    assert jobs("/?page=2") == set()


def test_a_jobs_page_tells_its_runs_stages_artifacts_and_costs(world: Any, panel: Any) -> None:
    page = panel.page(f"/jobs/{world.job}")
    artifacts = world.artifacts(world.job)
    assert {f"/lineage/artifacts/{item['artifact_id']}" for item in artifacts.values()} <= page.links()
    assert {f"/lineage/blobs/{item['sha256']}" for item in artifacts.values()} <= page.links()
    assert "/dags/video/runs/first%20run%2B1" in page.links()
    assert "/dags/video/runs/first%20run%2B1/tasks/compose" in page.links()
    assert "/lineage/graph?node=job%3Athroughline%3Avideo.write" in page.links()
    assert "completed" in page.text
    assert "0.0033 USD" in page.text
    assert page.all("video")[0]["src"] == f"/lineage/artifacts/{artifacts['video']['artifact_id']}/file"
    assert page.all("img")[0]["src"] == f"/lineage/artifacts/{artifacts['thumbnail']['artifact_id']}/file"


def test_a_jobs_graph_has_exactly_the_edges_of_the_ledger_and_so_has_its_table(
    world: Any, panel: Any
) -> None:
    page = panel.page(f"/jobs/{world.job}")
    artifacts = world.artifacts(world.job).values()
    ids = {item["artifact_id"] for item in artifacts}
    edges = {(used["artifact_id"], item["artifact_id"]) for item in artifacts for used in item["inputs"]}
    assert len(edges) == 4
    assert_drawn(page, ids, edges)


def assert_drawn(page: Any, ids: set[str], edges: set[tuple[str, str]]) -> None:
    assert sorted(page.values("data-node")) == sorted(ids)
    assert sorted(page.values("data-row")) == sorted(ids)
    drawn = [(a["data-origin"], a["data-destination"]) for a in page.all("path") if "data-origin" in a]
    assert sorted(drawn) == sorted(edges)
    twin = [
        (a["data-edge-origin"], a["data-edge-destination"])
        for a in page.all("span")
        if "data-edge-origin" in a
    ]
    assert sorted(twin) == sorted(edges)


def test_a_reused_artifact_is_marked_and_leads_to_its_first_making(world: Any, panel: Any) -> None:
    page = panel.page(f"/jobs/{world.again}")
    first = world.artifacts(world.job)["video"]["artifact_id"]
    assert [a for a in page.all("a", href=f"/lineage/artifacts/{first}") if a.get("class") == "state again"]
    assert "reused" in page.text


def test_a_failure_says_why(world: Any, panel: Any) -> None:
    page = panel.page(f"/jobs/{world.broken}")
    assert "no column" in page.text
    assert "words.txt: column 'word' is missing" in page.text


def test_a_dag_run_leads_to_its_job(world: Any, panel: Any) -> None:
    reply = panel.get("/run?dag_id=video&run_id=first%20run%2B1")
    assert (reply.status_code, reply.headers["location"]) == (303, f"/lineage/jobs/{world.job}")


def test_an_artifact_leads_back_to_its_source_and_on_to_its_uses(world: Any, panel: Any) -> None:
    artifacts = world.artifacts(world.job)
    page = panel.page(f"/artifacts/{artifacts['video']['artifact_id']}")
    tree = page.values("data-making")
    before = [artifacts[kind]["artifact_id"] for kind in ("script", "trends", "source")]
    assert tree == [*before, artifacts["thumbnail"]["artifact_id"]]
    assert "Down to 1 source" in page.text


def test_all_makings_of_the_same_bytes_the_first_maker_first(world: Any, panel: Any) -> None:
    sha256 = world.artifacts(world.again)["video"]["sha256"]
    page = panel.page(f"/blobs/{sha256}")
    words = page.text
    assert words.index("first maker") < words.index("reused", words.index("All makings"))
    assert {f"/lineage/jobs/{world.job}", f"/lineage/jobs/{world.again}"} <= page.links()


@pytest.mark.parametrize("shape", ["{}", "{:.12}", "sha256:{}", "  {}  "])
def test_a_digest_or_its_beginning_leads_to_what_made_it(world: Any, panel: Any, shape: str) -> None:
    sha256 = world.artifacts(world.job)["thumbnail"]["sha256"]
    reply = panel.get(f"/trace?digest={shape.format(sha256).replace(' ', '+')}")
    assert (reply.status_code, reply.headers["location"]) == (303, f"/lineage/blobs/{sha256}")


def test_an_id_leads_to_its_page(world: Any, panel: Any) -> None:
    artifact = world.artifacts(world.job)["video"]["artifact_id"]
    assert panel.get(f"/trace?digest={artifact}").headers["location"] == f"/lineage/artifacts/{artifact}"
    assert panel.get(f"/trace?digest={world.job}").headers["location"] == f"/lineage/jobs/{world.job}"


def test_the_lineage_graph_is_drawn_with_its_table_from_the_server_that_answers(
    panel: Any, lineage: str
) -> None:
    page = panel.page(f"/graph?node=job:{lineage}:d.two&depth=1")
    jobs = [f"job:{lineage}:d.{name}" for name in ("one", "two", "three")]
    datasets = [f"dataset:{lineage}:{name}" for name in ("a", "b")]
    edges = {
        (jobs[0], datasets[0]),
        (datasets[0], jobs[1]),
        (jobs[1], datasets[1]),
        (datasets[1], jobs[2]),
    }
    assert_drawn(page, {*jobs, *datasets}, edges)
    assert page.text.count("✓ completed") >= 2
    assert "✕ failed" in page.text
    assert "as embedded" in page.text
    assert page.text.count("+1") == 4, "one beyond each end, in the drawing and in the table"
    whole = panel.page(f"/graph?node=dataset:{lineage}:a&depth=5")
    assert len(whole.values("data-node")) == 7


def test_a_search_finds_jobs_and_datasets(panel: Any, lineage: str) -> None:
    links = panel.page("/graph?q=d.thr").links()
    assert f"/lineage/graph?node=job%3A{lineage}%3Ad.three" in links
    assert "Nothing is called that" in panel.page("/graph?q=zzzzzz").text


def test_the_ledger_is_read_in_transactions_that_can_change_nothing(world: Any) -> None:
    from include.panel.reading import open_ledger

    with world.here():
        with pytest.raises(DBAPIError, match="read-only transaction"):
            next(open_ledger()).execute(text("DELETE FROM cost"))
        assert next(open_ledger()).scalar(text("SHOW statement_timeout")) == "3s"
