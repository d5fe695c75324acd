"""docs/DAGS.md says what the DAGs say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.dags.dag_page import PAGE, page, takes

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


def test_the_page_is_what_the_dags_say(bag: DagBag) -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(bag), "docs/DAGS.md is stale: run python tests/dags/dag_page.py"
    assert written.count("| |\n") == 0, "a task or a field of a form says nothing"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"enum": ["a", "b"], "type": "string"}, "`a`, `b`"),
        ({"type": "integer", "minimum": 1, "maximum": 50}, "integer, 1 to 50"),
        ({"type": "integer", "minimum": 0, "exclusiveMaximum": 2**31}, "integer, 0 to 2147483647"),
        ({"type": ["null", "string"], "format": "uuid"}, "uuid"),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2}, "list of `a`, `b`; at most 2"),
        ({"type": ["string", "number"], "minimum": 0}, "string or number, from 0"),
    ],
)
def test_a_schema_is_said_in_a_few_words(schema: dict[str, Any], words: str) -> None:
    assert takes(schema) == words
