"""Where things lie, and what they may be called."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "misc", "tools"}
ABSOLUTE = re.compile(r"""(?:^|[\s"'`(=:])(/(?:home|root|work|Users|mnt|srv)/[\w.\-]+)""")


def tracked() -> list[Path]:
    """Every file of the project: those in git, and those about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


FILES = tracked()


def test_the_list_of_files_is_not_empty() -> None:
    assert ROOT / "include" / "errors.py" in FILES


def test_only_include_is_a_package() -> None:
    packages = {path.relative_to(ROOT).parts[0] for path in FILES if path.name == "__init__.py"}
    assert packages == {"include"}


def test_every_folder_of_code_below_include_is_a_package() -> None:
    folders = {
        path.parent for path in FILES if path.suffix == ".py" and path.is_relative_to(ROOT / "include")
    }
    scripts = {ROOT / "include/ledger/migrations/versions"}  # Alembic runs them by path
    assert [folder for folder in sorted(folders - scripts) if not (folder / "__init__.py").exists()] == []


def test_plugins_are_single_files() -> None:
    found = [path.relative_to(ROOT / "plugins") for path in FILES if path.is_relative_to(ROOT / "plugins")]
    assert [path for path in found if len(path.parts) > 1 or not path.name.endswith("_plugin.py")] == []


def test_dags_are_single_files_of_sixty_lines() -> None:
    found = [path for path in FILES if path.is_relative_to(ROOT / "dags") and path.suffix == ".py"]
    assert [path for path in found if path.parent != ROOT / "dags"] == []
    long = {path.name: len(path.read_text().splitlines()) for path in found}
    assert {name: lines for name, lines in long.items() if lines > 60} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = [path for path in FILES if path.suffix == ".py"]
    vague = [path for path in named if VAGUE & {path.stem, *path.relative_to(ROOT).parent.parts}]
    assert vague == []


@pytest.mark.parametrize("folder", ["include", "dags", "plugins", "tests", "docker", "docs"])
def test_no_path_of_one_machine_is_written_down(folder: str) -> None:
    texts = {
        ".py",
        ".md",
        ".sh",
        ".txt",
        ".cfg",
        ".yaml",
        ".yml",
        ".toml",
        ".j2",
        ".html",
        ".sql",
        ".json",
        "",
    }
    here = [path for path in FILES if path.relative_to(ROOT).parts[0] == folder and path.suffix in texts]
    found = {
        f"{path.relative_to(ROOT)}: {match}"
        for path in here
        if path != Path(__file__)
        for match in ABSOLUTE.findall(path.read_text(errors="replace"))
    }
    assert found == set()


def test_state_and_secrets_are_ignored_by_git() -> None:
    names = [
        ".throughline/secrets.json",
        ".throughline/airflow/passwords.json",
        ".venv/bin/python",
        "out/x/video.mp4",
    ]
    ignored = subprocess.run(
        ["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    assert ignored == names


def test_tests_mirror_the_source() -> None:
    """A folder of tests below tests/include has its folder of code below include."""
    mirrored = {
        path.parent.relative_to(ROOT / "tests")
        for path in FILES
        if path.is_relative_to(ROOT / "tests/include")
    }
    # data/ holds what tests read
    strange = [folder for folder in mirrored if "data" not in folder.parts and not (ROOT / folder).is_dir()]
    assert strange == []
