"""Sweeping what a death left behind: dry run first, a day's grace, nothing recorded is ever deleted."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from include.artifacts.scratch import scratch
from include.artifacts.store import Store, StoredBlob
from include.ledger.session import transaction
from include.proof.sweep import sweep
from include.proof.verify import traced
from include.settings import settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.include.proof.made_runs import Made


@pytest.fixture
def orphan(made: Made) -> StoredBlob:
    """A file at its address that no row names."""
    store = Store(settings().store)
    return store.keep(lambda path: path.write_text("[]"), suffix=".json", media_type="application/json")


def test_old_leftovers_are_named_first_and_deleted_when_told(orphan: StoredBlob) -> None:
    store = Store(settings().store)
    leftover = store.root / "incoming" / ".dead.mp4"
    leftover.write_bytes(b"half")
    for path in (store.root / orphan.path, leftover):
        os.utime(path, (1, 1))
    with transaction() as session:
        dry = sweep(session)
        assert (dry.temporaries, dry.orphans, dry.deleted) == (("incoming/.dead.mp4",), (orphan.path,), False)
        assert leftover.exists()
        assert sweep(session, dry_run=False).deleted
        assert not leftover.exists()
        assert not (store.root / orphan.path).exists()
        assert (traced(session).files, traced(session).untraced) == (3, ())


def test_a_young_file_is_left_alone(orphan: StoredBlob) -> None:
    with transaction() as session:
        assert sweep(session, dry_run=False).orphans == ()


def test_the_links_that_a_death_left_unfinished_are_swept(made: Made) -> None:
    link = Store(settings().store).root / "incoming" / ".dead.link"
    link.symlink_to("../../nowhere.json")
    os.utime(link, (1, 1), follow_symlinks=False)
    with transaction() as session:
        assert sweep(session, dry_run=False).temporaries == ("incoming/.dead.link",)
    assert not link.is_symlink()


def test_scratch_of_a_day_ago_is_swept_and_scratch_in_use_is_not(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stranger = tmp_path / "not-ours"
    stranger.mkdir()
    with scratch() as young, scratch() as old, scratch() as used:
        for folder in (young, old, used):
            (folder / "half.mp4").write_bytes(b"half")
        for path in (old / "half.mp4", old, used, stranger):
            os.utime(path, (1, 1))
        with transaction() as session:
            assert sweep(session).scratch == (str(old),)
            assert old.exists()
            assert sweep(session, dry_run=False).scratch == (str(old),)
        assert [folder.exists() for folder in (young, old, used, stranger)] == [True, False, True, True]
        old.mkdir()  # for the end of its own work


def test_a_recorded_file_is_never_swept_however_old(made: Made) -> None:
    store = Store(settings().store)
    for path in store.blobs():
        os.utime(path, (1, 1))
    with transaction() as session:
        assert sweep(session, dry_run=False).orphans == ()
    assert len(list(store.blobs())) == 3


def test_a_link_to_elsewhere_is_not_followed(made: Made) -> None:
    store = Store(settings().store)
    outside = store.root.parent / "outside.json"
    outside.write_text("kept")
    os.utime(outside, (1, 1))
    link = store.root / "blobs" / "aa" / f"{'a' * 64}.json"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    os.utime(link, (1, 1), follow_symlinks=False)
    with transaction() as session:
        sweep(session, dry_run=False)
    assert outside.read_text() == "kept"
