"""The disk of the store is full: the stage fails with what to do, leaves nothing, and succeeds once there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from attempts import Task, attempt
from include.artifacts.store import Store
from include.errors import ProviderUnavailable, StoreFull
from include.settings import settings
from tests.faults.oracle import assert_sound, settle
from tests.faults.prepared import FIRST_SCENE, SILVER, WORDS, Prepared, digests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.marquez.client import MarquezClient
    from tests.include.lineage.receiver import Receiver

SMALL, LARGE = 1 << 20, 256 << 20


class Disk:
    """A file system in memory, of a size in bytes that can be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, size_bytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size_bytes}", self.folder], check=True)

    def fill(self, spare_bytes: int) -> None:
        """Leave no more room than this."""
        free = shutil.disk_usage(self.folder).free
        with (self.folder / "ballast").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, free - spare_bytes))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk that is mounted for the test; the test is skipped where this user may mount none."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={LARGE}", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def store_on(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Move this process's store onto a disk."""
    shutil.copytree(settings().store, disk.folder / "artifacts", symlinks=True)
    monkeypatch.setenv("THROUGHLINE_ARTIFACT_DIR", str(disk.folder / "artifacts"))
    settings.cache_clear()
    yield
    monkeypatch.undo()


# who writes the file that does not fit: Python, ffmpeg, Python after polars, Python at the first input
@pytest.mark.slow
@pytest.mark.parametrize("task", [WORDS[3], FIRST_SCENE, SILVER, WORDS[0]], ids=str)
def test_a_full_disk_fails_a_stage_and_leaves_nothing(
    prepared: Prepared,
    disk: Disk,
    task: Task,
    tmp_path: Path,
    receiver: Receiver,
    server: MarquezClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with prepared.before_task(task, tmp_path) as dsn, store_on(disk, monkeypatch):
        before, files = digests(dsn), everything(settings().store)
        disk.fill(spare_bytes=4096)
        ended = attempt(prepared.job, task)
        assert ended.status is None
        assert (ended.error or "").startswith(f"StoreFull: {settings().store}: no room"), ended
        assert "free some" in (ended.error or "")
        assert everything(settings().store) == files
        assert digests(dsn) == before

        (disk.folder / "ballast").unlink()
        assert attempt(prepared.job, task).status == "succeeded"
        assert digests(dsn, task).items() <= prepared.made.items()
        settle(dsn, server)
        assert_sound(dsn, receiver.got)


def everything(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())


def test_a_full_disk_is_told_from_a_bad_file(disk: Disk) -> None:
    disk.resize(SMALL)
    store = Store(disk.folder / "artifacts")

    def write(size: int):
        return lambda path: path.write_bytes(os.urandom(size))

    with pytest.raises(StoreFull, match="no room") as full:
        store.keep(write(2 * SMALL), suffix=".bin", media_type="x/y")
    assert isinstance(full.value, ProviderUnavailable), "tried again later: there may be room then"
    assert everything(disk.folder) == []
    blob = store.keep(write(SMALL // 2), suffix=".bin", media_type="x/y")
    store.link(blob.path, "out/a.bin")
    disk.fill(spare_bytes=0)
    with pytest.raises(StoreFull, match="no room"):
        store.project("catalog/lineage/a.json", b"x" * 8192)
    assert everything(disk.folder) == sorted(["artifacts/out/a.bin", f"artifacts/{blob.path}", "ballast"])
