"""The page that lists the DAGs: what each does, its form and its tasks, as the DAGs themselves say.

``python tests/dags/dag_page.py`` writes docs/DAGS.md; with ``--check`` it only says whether it is stale.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "DAGS.md"
HEAD = """\
# DAGs

Made from the DAGs by `python tests/dags/dag_page.py`; a test holds it against them. Every run belongs to a job: triggered
without a `job_id` it opens one, and whatever it makes is traced under it. How a job goes through them:
[architecture.md](architecture.md).
"""


def page(bag: DagBag) -> str:
    """Return the whole page."""
    return HEAD + "".join(_section(dag) for _, dag in sorted(bag.dags.items()))


def _section(dag: Any) -> str:
    title, _, told = (dag.doc_md or "").strip().partition("\n")
    form = [_parameter(name, dag.params.get_param(name)) for name in dag.params]
    tasks = [_task(task) for task in dag.topological_sort()]
    return "\n".join(
        [
            "",
            f"## {dag.dag_id}: {title.lstrip('# ')}",
            "",
            told.strip(),
            "",
            f"Schedule: {_schedule(dag)}. At most {dag.max_active_runs} at a time.",
            "",
            "| form | default | takes | meaning |",
            "|---|---|---|---|",
            *form,
            "",
            "| task | after | does |",
            "|---|---|---|",
            *tasks,
            "",
        ]
    )


def _schedule(dag: Any) -> str:
    return "none, it runs when triggered" if dag.schedule is None else f"`{dag.schedule}` (UTC)"


def _parameter(name: str, param: Any) -> str:
    default = "" if param.value is None else f"`{json.dumps(param.value, ensure_ascii=False)}`"
    return f"| `{name}` | {default} | {_cell(takes(param.schema))} | {_cell(param.description)} |"


def takes(schema: dict[str, Any]) -> str:
    """Say in a few words what a parameter's JSON schema allows."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kinds = schema.get("type", "any")
    kind = " or ".join(one for one in ([kinds] if isinstance(kinds, str) else kinds) if one != "null")
    if kind == "array":
        most = f"; at most {schema['maxItems']}" if "maxItems" in schema else ""
        return f"list of {takes(schema.get('items', {}))}{most}"
    if "minimum" in schema and "maximum" in schema:
        return f"{kind}, {schema['minimum']:g} to {schema['maximum']:g}"
    if "minimum" in schema and "exclusiveMaximum" in schema:
        return f"{kind}, {schema['minimum']:g} to {schema['exclusiveMaximum'] - 1}"
    if "minimum" in schema:
        kind += f", from {schema['minimum']:g}"
    if "maxLength" in schema:
        kind += f", {schema.get('minLength', 0)} to {schema['maxLength']} characters"
    if "format" in schema:
        kind = schema["format"]
    if "pattern" in schema:
        kind += f" like `{schema['pattern']}`"
    return str(kind)


def _task(task: Any) -> str:
    mapped = " (one per item)" if task.is_mapped else ""
    after = ", ".join(f"`{name}`" for name in sorted(task.upstream_task_ids))
    told = (task.partial_kwargs.get("doc_md") if task.is_mapped else task.doc_md) or ""
    return f"| `{task.task_id}`{mapped} | {after} | {_cell(told)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")


def main(arguments: list[str]) -> int:
    """Write the page, or say that it is stale."""
    from airflow.dag_processing.dagbag import DagBag

    made = page(DagBag(str(ROOT / "dags")))
    if PAGE.exists() and made == PAGE.read_text(encoding="utf-8"):
        return 0
    if arguments == ["--check"]:
        print(f"{PAGE.name} is stale: run python tests/dags/dag_page.py")
        return 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
