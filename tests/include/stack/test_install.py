"""The set-up script, on copies of the project that lack something."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The few files that the script reads, with the environment that the tests run in."""
    root = tmp_path / "project"
    (root / "include" / "stack").mkdir(parents=True)
    for name in (
        "requirements.txt",
        "pyproject.toml",
        "include/stack/install.sh",
        "include/stack/packages.txt",
    ):
        shutil.copy(ROOT / name, root / name)
    (root / ".venv").symlink_to(Path(sys.prefix))
    return root


def run(project: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [project / "include/stack/install.sh", *words],
        env=dict(os.environ) | variables,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def stub(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_without_python_3_11_it_says_so_and_makes_nothing(project: Path, tmp_path: Path) -> None:
    (project / ".venv").unlink()
    for name in ("python3", "python3.11"):
        stub(tmp_path / "bin", name, "exit 1")
    said = run(project, PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin", PYTHON="")
    assert said.returncode == 2
    assert "Python 3.11 is needed" in said.stderr
    assert not (project / ".venv").exists()


def test_somebody_who_is_not_root_gets_the_one_command(project: Path, tmp_path: Path) -> None:
    stub(tmp_path / "bin", "id", "echo 1000")
    with (project / "include/stack/packages.txt").open("a") as file:
        file.write("no-such-package-here\nno-such-test-package [tests]\n")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    said = run(project, PATH=path)
    assert said.returncode == 2
    assert (
        "sudo apt-get update && sudo apt-get install --yes --no-install-recommends no-such-package-here"
        in said.stderr
    )
    assert "no-such-test-package" not in said.stderr
    assert "no-such-test-package" in run(project, "tests", PATH=path).stderr


def test_root_installs_what_is_missing_after_one_update(project: Path, tmp_path: Path) -> None:
    """apt-get is a recorder: it knows no package before it was updated."""
    record = tmp_path / "record"
    stub(tmp_path / "bin", "id", "echo 0")
    stub(
        tmp_path / "bin",
        "apt-get",
        f'echo "$@" >> {record}; case "$1" in update) touch {tmp_path}/updated;; *) test -e {tmp_path}/updated;; esac',
    )
    (project / "include/stack/packages.txt").write_text("no-such-package-here\n")
    (project / ".venv").unlink()
    (project / ".venv" / "bin").mkdir(parents=True)
    stub(project / ".venv/bin", "python", "exit 0")
    stub(project / ".venv/bin", "uv", f'echo uv "$@" >> {record}')
    said = run(project, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert said.returncode == 0, said.stderr
    calls = record.read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["install", "update", "install", "uv", "uv"]
    assert "--require-hashes -r requirements.txt" in calls[3]
    # And nothing the second time but the question which packages are there.
    (project / "include/stack/packages.txt").write_text("coreutils\n")
    again = run(project, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert record.read_text().splitlines() == calls


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="not a Debian system")
def test_every_named_package_is_installed_where_the_tests_run() -> None:
    lines = (ROOT / "include/stack/packages.txt").read_text().splitlines()
    names = [line.split()[0] for line in lines if not line.startswith("#")]
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}\n", *names], capture_output=True, text=True
    )
    assert done.stdout.split() == ["installed"] * len(names), done.stderr
