from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from typer.main import get_command
from typer.testing import CliRunner

from include.cli import COMMANDS, Entry, cli, load
from include.ledger.session import transaction
from include.stack import credentials, parts, state

if TYPE_CHECKING:
    from include.stack.state import Stack

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
THROUGHLINE = Path(sys.executable).parent / "throughline"
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("AIRFLOW", "MARQUEZ", "THROUGHLINE"))
}


def run(state_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command as a person would."""
    environment = CLEAN | {"THROUGHLINE_STATE_DIR": str(state_dir)}
    return subprocess.run([THROUGHLINE, *words], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def prepared(tmp_path: Path) -> Stack:
    stack = state.prepare(tmp_path / "it's 100%", {})
    credentials.read_or_make(stack.state_dir)
    return stack


@pytest.mark.parametrize("name", [entry.name for entry in COMMANDS])
def test_every_command_has_its_module_and_its_help(name: str) -> None:
    command = load(next(entry for entry in COMMANDS if entry.name == name))
    assert command.name == name
    assert command.help


def test_the_help_lists_every_command() -> None:
    shown = CliRunner().invoke(cli, ["--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert [entry.name for entry in COMMANDS if f" {entry.name} " not in shown.stdout] == []


def test_asking_for_help_loads_no_heavy_library() -> None:
    code = (
        "import sys; from include.cli import COMMANDS, load; [load(entry) for entry in COMMANDS];"
        "print(sorted({'airflow', 'polars', 'moviepy', 'weasyprint', 'anthropic', 'duckdb', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_command_is_a_wrong_use() -> None:
    assert CliRunner().invoke(cli, ["imagine"]).exit_code == 2
    assert get_command(cli) is not None


def test_status_of_a_stack_that_was_never_started_is_3(tmp_path: Path) -> None:
    said = run(tmp_path / "s", "status", "--json")
    assert (said.returncode, json.loads(said.stdout)) == (3, {"running": False, "healthy": False})
    assert run(tmp_path / "s", "status").returncode == 3
    assert not (tmp_path / "s").exists(), "asking makes nothing"


def test_status_of_a_stopped_stack_is_3(prepared: Stack) -> None:
    said = run(prepared.state_dir, "status", "--json")
    assert said.returncode == 3
    assert json.loads(said.stdout)["problems"] == ["the stack does not run"]


@pytest.mark.parametrize("words", [("jobs",), ("verify",), ("trace", "00" * 32)], ids=lambda words: words[0])
def test_a_stopped_stack_is_said_in_one_line(prepared: Stack, words: tuple[str, ...]) -> None:
    said = run(prepared.state_dir, *words)
    assert said.returncode == 2, said.stderr
    (line,) = said.stderr.splitlines()
    assert "the database does not answer" in line
    assert "make up" in line


def ask_for_too_much() -> None:
    """A command whose question the ledger gives up."""
    with transaction() as session:
        session.execute(text("SET statement_timeout = 20"))
        session.execute(text("SELECT pg_sleep(60)"))


def test_a_question_that_took_too_long_is_not_called_a_database_that_is_away(
    ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.cli.COMMANDS", (Entry("much", __name__, "ask_for_too_much"),))
    said = CliRunner().invoke(cli, ["much"])
    assert said.exit_code == 2
    (line,) = said.stderr.splitlines()
    assert "gave up a question (canceling statement due to statement timeout)" in line
    assert "does not answer" not in line


def test_down_without_a_stack_is_no_failure_and_makes_nothing(tmp_path: Path) -> None:
    said = run(tmp_path / "s", "down")
    assert (said.returncode, said.stdout) == (0, "The stack was not running.\n")
    assert not (tmp_path / "s").exists()


def test_env_without_a_stack_is_one_clear_line_on_stderr(tmp_path: Path) -> None:
    said = run(tmp_path / "s", "env")
    assert said.returncode == 2
    assert said.stdout == ""
    assert said.stderr.startswith("throughline: no stack was started in ")
    assert said.stderr.count("\n") == 1


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_shell_evaluates_what_env_prints(prepared: Stack, shell: str) -> None:
    """A quote, a blank and a percent sign in the state folder's path included."""
    printed = run(prepared.state_dir, "env").stdout
    words = f"eval {shlex.quote(printed)}; exec {shlex.quote(sys.executable)} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    seen = json.loads(
        subprocess.run([shell, "-c", words], env=CLEAN, capture_output=True, text=True, check=True).stdout
    )
    expected = parts.gathered(parts.variables(prepared, credentials.read(prepared.state_dir)), parts.SHELL)
    assert {name: seen.get(name) for name in expected} == expected
    assert parts.MARKER not in seen, "a shell is no part of the stack and must outlive it"


def test_a_secrets_file_that_others_can_read_stops_every_command(prepared: Stack) -> None:
    (prepared.state_dir / credentials.FILE).chmod(0o644)
    for command in ("env", "status"):
        said = run(prepared.state_dir, command)
        assert said.returncode == 2
        assert "chmod 600" in said.stderr


def test_db_upgrade_names_the_setting_it_lacks(tmp_path: Path) -> None:
    said = run(tmp_path / "s", "db", "upgrade")
    assert said.returncode == 2
    assert "THROUGHLINE_LEDGER_ADMIN_DSN" in said.stderr


def test_db_upgrade_makes_the_ledger_and_can_be_repeated(database: str, tmp_path: Path) -> None:
    environment = CLEAN | {"THROUGHLINE_LEDGER_ADMIN_DSN": database, "THROUGHLINE_STATE_DIR": str(tmp_path)}
    for _ in range(2):
        said = subprocess.run(
            [THROUGHLINE, "db", "upgrade"], env=environment, capture_output=True, text=True, check=False
        )
        assert said.returncode == 0, said.stderr
