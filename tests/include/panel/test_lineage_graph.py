"""From a lineage server's answer to what is drawn: the right neighbourhood, and nothing cut silently."""

from __future__ import annotations

from typing import Any

from include.panel.lineage_graph import neighbourhood
from include.panel.pages import Place

PLACE = Place("/lineage")


def answer(*jobs: tuple[str, list[str], list[str]], states: dict[str, str] | None = None) -> dict[str, Any]:
    """An answer of ``GET /api/v1/lineage`` with jobs (name, inputs, outputs) of the namespace ``n``."""
    items: dict[str, dict[str, Any]] = {}

    def item(kind: str, name: str) -> dict[str, Any]:
        key = f"{kind.lower()}:n:{name}"
        data: dict[str, Any] = {"namespace": "n", "name": name}
        if kind == "JOB":
            state = (states or {}).get(name)
            data["latestRun"] = {"state": state} if state else None
        return items.setdefault(key, {"id": key, "type": kind, "data": data, "inEdges": [], "outEdges": []})

    def edge(origin: dict[str, Any], destination: dict[str, Any]) -> None:
        drawn = {"origin": origin["id"], "destination": destination["id"]}
        origin["outEdges"].append(drawn)
        destination["inEdges"].append(drawn)

    for name, inputs, outputs in jobs:
        job = item("JOB", name)
        for dataset in inputs:
            edge(item("DATASET", dataset), job)
        for dataset in outputs:
            edge(job, item("DATASET", dataset))
    return {"graph": list(items.values())}


CHAIN = answer(*[(f"d.j{i}", [f"t{i}"], [f"t{i + 1}"]) for i in range(6)], states={"d.j1": "FAILED"})


def names(graph: Any) -> set[str]:
    return {node.id.rpartition(":")[2] for node in graph.nodes}


def test_depth_counts_jobs() -> None:
    assert names(neighbourhood(CHAIN, "job:n:d.j2", 1, PLACE)) == {"d.j1", "t2", "d.j2", "t3", "d.j3"}
    assert names(neighbourhood(CHAIN, "dataset:n:t3", 1, PLACE)) == {"t2", "d.j2", "t3", "d.j3", "t4"}


def test_what_lies_behind_the_border_is_counted_and_linked() -> None:
    graph = neighbourhood(CHAIN, "job:n:d.j2", 1, PLACE)
    assert {node.id: node.hidden for node in graph.nodes if node.hidden} == {"job:n:d.j1": 1, "job:n:d.j3": 1}
    assert graph.node("job:n:d.j1").more == "/lineage/graph?node=job%3An%3Ad.j1&depth=1"
    assert not any(node.hidden for node in neighbourhood(CHAIN, "job:n:d.j2", 6, PLACE).nodes)


def test_a_node_says_what_it_is_and_how_its_latest_run_ended() -> None:
    graph = neighbourhood(CHAIN, "job:n:d.j2", 1, PLACE)
    failed, table = graph.node("job:n:d.j1"), graph.node("dataset:n:t2")
    assert (failed.kind, failed.label, failed.detail, failed.state, failed.hops) == (
        "job",
        "j1",
        "d",
        "FAILED",
        2,
    )
    assert (table.kind, table.label, table.detail, table.state, table.hops) == ("dataset", "t2", "n", None, 1)
    assert graph.node("job:n:d.j2").state == "NONE"


def test_a_hub_is_cut_openly() -> None:
    hub = answer(*[(f"d.j{i:04}", ["hub"], []) for i in range(1000)])
    graph = neighbourhood(hub, "dataset:n:hub", 1, PLACE, limit=300)
    assert len(graph.nodes) == 300
    assert graph.notes == (
        "701 of 1001 nodes within this depth are not drawn; “+n” on a node leads to them.",
    )
    assert graph.node("dataset:n:hub").hidden == 701


def test_jobs_of_an_unreadable_dag_are_left_out_and_said_to_be() -> None:
    data = answer(
        ("open.a", ["in"], ["between"]), ("secret.b", ["between"], ["out"]), ("open.c", ["out"], [])
    )
    graph = neighbourhood(
        data, "job:n:open.a", 5, PLACE, may_read=lambda dag_id: dag_id == "open", namespace="n"
    )
    assert names(graph) == {"open.a", "in", "between"}
    assert graph.notes == ("1 jobs belong to DAGs that you may not read; they are left out.",)
    assert (
        neighbourhood(data, "job:n:secret.b", 5, PLACE, may_read=lambda _: False, namespace="n").nodes == ()
    )


def test_jobs_of_another_system_are_nobodys_dag() -> None:
    data = answer(("secret.b", ["x"], []))
    assert (
        len(neighbourhood(data, "dataset:n:x", 2, PLACE, may_read=lambda _: False, namespace="ours").nodes)
        == 2
    )


def test_an_unknown_centre_is_no_graph() -> None:
    assert neighbourhood({"graph": []}, "job:n:x", 2, PLACE).nodes == ()


def test_the_order_of_the_answer_does_not_matter() -> None:
    turned = {"graph": CHAIN["graph"][::-1]}
    assert neighbourhood(turned, "job:n:d.j2", 3, PLACE) == neighbourhood(CHAIN, "job:n:d.j2", 3, PLACE)
