"""From facts to datasets with facets: declared ones always, actual ones where the facts name them."""

from __future__ import annotations

from typing import Any

from openlineage.client.serde import Serde

from include.lineage.facets import Declaration, error_of, inputs_of, job_facet, outputs_of

SHA = "ab" * 32
OTHER = "cd" * 32
LEADS = Declaration(
    "One row per lead.",
    "table",
    "parquet",
    "sales",
    "personal",
    {"layer": "gold"},
    ({"name": "lead_id", "type": "string", "description": "its id"}, {"name": "email", "type": "string"}),
    ("email",),
)


def declare(namespace: str, name: str) -> Declaration | None:
    return LEADS if name == "lake/gold/leads" else None


def item(name: str, **more: Any) -> dict[str, Any]:
    return {
        "namespace": "throughline",
        "name": name,
        "artifact_id": "01941c3e-0000-7000-8000-00000000000b",
        "sha256": SHA,
        "kind": "table",
        "key": "gold/leads/latest",
        "media_type": "application/vnd.apache.parquet",
        "size_bytes": 10,
        "uri": f"throughline://store/blobs/ab/{SHA}.parquet",
        **more,
    }


def plain(datasets: list[Any]) -> dict[str, dict[str, Any]]:
    return {dataset.name: Serde.to_dict(dataset) for dataset in datasets}


def test_a_declared_dataset_says_what_it_is_before_anything_ran() -> None:
    facets = plain(outputs_of({}, ("lake/gold/leads",), declare))["lake/gold/leads"]["facets"]
    assert facets["documentation"]["description"] == "One row per lead."
    assert facets["ownership"]["owners"] == [{"name": "sales", "type": "OWNER"}]
    assert (facets["datasetType"]["datasetType"], facets["datasetType"]["subType"]) == ("TABLE", "table")
    assert (facets["storage"]["storageLayer"], facets["storage"]["fileFormat"]) == ("file", "parquet")
    assert [field["name"] for field in facets["schema"]["fields"]] == ["lead_id", "email"]
    tags = [(tag["key"], tag["value"], tag.get("field")) for tag in facets["tags"]["tags"]]
    assert tags == [
        ("layer", "gold", None),
        ("classification", "personal", None),
        ("classification", "personal", "email"),
    ]
    assert "version" not in facets
    assert "lifecycleStateChange" not in facets


def test_an_undeclared_dataset_still_has_its_source() -> None:
    assert set(plain(inputs_of({}, ("media/odd",)))["media/odd"]["facets"]) == {"dataSource"}


def test_what_was_made_says_more_and_wins_over_what_was_declared() -> None:
    made = item(
        "lake/gold/leads",
        rows=3,
        partition="2026-11-01",
        owner="crm",
        lifecycle="CREATE",
        schema=[{"name": "lead_id", "type": "string"}],
        column_lineage={
            "fields": {
                "lead_id": {
                    "inputFields": [
                        {
                            "namespace": "throughline",
                            "name": "lake/silver/leads",
                            "field": "lead_id",
                            "transformations": [{"type": "DIRECT", "subtype": "IDENTITY"}],
                        }
                    ]
                }
            }
        },
        quality={"rowCount": 3, "columnMetrics": {"lead_id": {"nullCount": 0, "odd": 1}}},
        assertions=[{"assertion": "not_null", "column": "lead_id", "success": True}],
    )
    found = plain(outputs_of({"outputs": [made]}, ("lake/gold/leads",), declare))["lake/gold/leads"]
    facets = found["facets"]
    assert facets["ownership"]["owners"][0]["name"] == "crm"
    assert [field["name"] for field in facets["schema"]["fields"]] == ["lead_id"]
    assert facets["version"]["datasetVersion"] == SHA
    assert facets["lifecycleStateChange"]["lifecycleStateChange"] == "CREATE"
    assert facets["dataQualityMetrics"]["columnMetrics"] == {"lead_id": {"nullCount": 0}}
    assert facets["dataQualityAssertions"]["assertions"][0]["success"] is True
    assert facets["columnLineage"]["fields"]["lead_id"]["inputFields"][0]["name"] == "lake/silver/leads"
    statistics = found["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"], statistics["fileCount"]) == (3, 10, 1)
    condition = found["outputFacets"]["subset"]["outputCondition"]
    assert condition["type"] == "partition"
    assert condition["partitions"] == [
        {"identifier": "2026-11-01", "dimensions": {"partition": "2026-11-01"}}
    ]


def test_a_file_that_tells_no_columns_has_those_that_outputs_are_made_from() -> None:
    def of(name: str, field: str) -> dict[str, Any]:
        return {"namespace": "throughline", "name": name, "field": field}

    made = item(
        "lake/staged/leads",
        column_lineage={
            "fields": {"lead_id": {"inputFields": [of("sources/leads", "id"), of("lake/gold/leads", "x")]}},
            "dataset": [of("sources/leads", "city"), of("sources/leads", "id")],
        },
    )
    facts = {
        "inputs": [item("sources/leads", kind="source"), item("sources/words", kind="source")],
        "outputs": [made],
    }
    read = plain(inputs_of(facts, ("lake/gold/leads",), declare))
    columns = {
        name: [field["name"] for field in dataset["facets"].get("schema", {}).get("fields", [])]
        for name, dataset in read.items()
    }
    assert columns == {
        "lake/gold/leads": ["lead_id", "email"],  # as declared
        "sources/leads": ["id", "city"],
        "sources/words": [],
    }


def test_several_files_of_one_dataset_are_one_entry() -> None:
    scenes = [
        item("media/scenes", kind="scene", key="1", lifecycle="CREATE", uri="throughline://store/a.mp4"),
        item(
            "media/scenes",
            kind="scene",
            key="2",
            sha256=OTHER,
            lifecycle="OVERWRITE",
            uri="throughline://b.mp4",
        ),
    ]
    found = plain(outputs_of({"outputs": scenes}, ("media/scenes",)))["media/scenes"]
    assert found["facets"]["version"]["datasetVersion"] == f"{SHA},{OTHER}"
    assert found["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "OVERWRITE"
    assert found["facets"]["storage"]["fileFormat"] == "mp4"
    assert found["facets"]["datasetType"]["datasetType"] == "FILE"
    statistics = found["outputFacets"]["outputStatistics"]
    assert (statistics["size"], statistics["fileCount"]) == (20, 2)
    read = plain(inputs_of({"inputs": scenes}, ()))["media/scenes"]
    assert read["inputFacets"]["inputStatistics"]["fileCount"] == 2
    assert "lifecycleStateChange" not in read["facets"]


def test_only_a_failure_says_how() -> None:
    facts = {"error": "ValueError: no", "status": "failed"}
    error = error_of(facts)
    assert error is not None
    assert (error.message, error.programmingLanguage) == ("ValueError: no", "python")
    assert error_of({**facts, "status": "skipped"}) is None
    assert error_of({"status": "succeeded"}) is None


def test_every_facet_is_valid(check_openlineage: Any) -> None:
    made = item(
        "lake/gold/leads",
        rows=3,
        partition="latest",
        lifecycle="OVERWRITE",
        quality={"rowCount": 3, "columnMetrics": {"lead_id": {"nullCount": 0}}},
        assertions=[{"assertion": "not_null", "column": "lead_id", "success": True}],
    )
    facts = {"job_id": made["artifact_id"], "stage": "leads.gold", "status": "failed", "error": "no"}
    facts |= {"inputs": [made], "outputs": [made]}
    facet = job_facet(facts, dag_id="medallion", run_id="manual__1")
    facet.omitted = ["run.big"]
    event = {
        "eventType": "FAIL",
        "eventTime": "2026-11-01T00:00:00Z",
        "producer": "https://throughline.example",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {
            "runId": made["artifact_id"],
            "facets": {
                "throughline_job": Serde.to_dict(facet),
                "errorMessage": Serde.to_dict(error_of(facts)),
            },
        },
        "job": {"namespace": "throughline", "name": "medallion.leads.gold", "facets": {}},
        "inputs": list(plain(inputs_of(facts, (), declare)).values()),
        "outputs": list(plain(outputs_of(facts, (), declare)).values()),
    }
    assert check_openlineage([event], "RunEvent") > 20
