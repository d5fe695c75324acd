"""Bytes leave only when they are those of their digest, under a name of ours, as a type that runs nothing."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import psycopg
import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_the_bytes_are_those_of_the_digest(world: Any, panel: Any) -> None:
    for item in world.artifacts(world.job).values():
        reply = panel.get(f"/artifacts/{item['artifact_id']}/file")
        assert reply.status_code == 200
        assert hashlib.sha256(reply.content).hexdigest() == item["sha256"]


def test_only_safe_types_are_shown_all_else_is_a_download(world: Any, panel: Any) -> None:
    told = {}
    for kind, item in world.artifacts(world.job).items():
        headers = panel.get(f"/artifacts/{item['artifact_id']}/file").headers
        told[kind] = (headers["content-type"], headers["content-disposition"].partition(";")[0])
    assert told == {
        "source": ("application/octet-stream", "attachment"),
        "trends": ("application/octet-stream", "attachment"),
        "script": ("application/octet-stream", "attachment"),
        "video": ("video/mp4", "inline"),
        "thumbnail": ("image/png", "inline"),
    }
    video = world.artifacts(world.job)["video"]["artifact_id"]
    assert (
        panel.get(f"/artifacts/{video}/file?download=1")
        .headers["content-disposition"]
        .startswith("attachment")
    )


def test_a_video_is_sent_in_ranges(world: Any, panel: Any) -> None:
    item = world.artifacts(world.job)["video"]
    reply = panel.get(f"/artifacts/{item['artifact_id']}/file", range="bytes=4-7")
    assert (reply.status_code, reply.content) == (206, b"ftyp")
    assert reply.headers["content-range"] == f"bytes 4-7/{item['size_bytes']}"


def test_a_file_is_named_by_its_kind_and_digest(world: Any, panel: Any) -> None:
    item = world.artifacts(world.job)["video"]
    said = panel.get(f"/artifacts/{item['artifact_id']}/file").headers["content-disposition"]
    assert said == f'inline; filename="video-{item["sha256"][:12]}.mp4"'


def test_altered_missing_and_linked_files_are_not_sent(world: Any, panel: Any, tmp_path: Path) -> None:
    item = world.artifacts(world.broken)["trends"]
    address = f"/artifacts/{item['artifact_id']}/file"
    path = world.store / item["path"]
    whole = path.read_bytes()
    outside = tmp_path / "outside"
    outside.write_bytes(whole)
    try:
        path.chmod(0o644)
        path.write_bytes(whole + b" ")
        altered = panel.get(address)
        path.unlink()
        missing = panel.get(address)
        path.symlink_to(outside)
        linked = panel.get(address)
    finally:
        path.unlink(missing_ok=True)
        path.write_bytes(whole)
    for reply in (altered, missing, linked):
        assert reply.status_code == 500
        assert whole not in reply.content
        assert "throughline verify" in reply.text
    assert panel.get(address).content == whole


@pytest.mark.parametrize(
    "where", ["../outside.json", "blobs/../../outside.json", "/etc/hostname", "incoming/x.json"]
)
def test_a_path_that_leaves_the_blobs_is_not_followed(world: Any, panel: Any, where: str) -> None:
    """Paths come from the ledger only; even a forged row reaches nothing."""
    (world.store.parent / "outside.json").write_text("{}")
    (world.store / "incoming").mkdir(exist_ok=True)
    (world.store / "incoming" / "x.json").write_text("{}")
    item = world.artifacts(world.broken)["trends"]
    sha256 = hashlib.sha256(b"{}").hexdigest()
    with psycopg.connect(world.environment["THROUGHLINE_LEDGER_DSN"], autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "INSERT INTO blob (sha256, size_bytes, media_type, path) VALUES (%s, 2, 'image/png', %s)"
            " ON CONFLICT (sha256) DO UPDATE SET path = excluded.path",
            (sha256, where),
        )
        connection.execute(
            "UPDATE artifact SET sha256 = %s WHERE artifact_id = %s", (sha256, item["artifact_id"])
        )
        try:
            reply = panel.get(f"/artifacts/{item['artifact_id']}/file")
        finally:
            connection.execute(
                "UPDATE artifact SET sha256 = %s WHERE artifact_id = %s",
                (item["sha256"], item["artifact_id"]),
            )
            connection.execute("DELETE FROM blob WHERE sha256 = %s", (sha256,))
    assert reply.status_code == 500
    assert reply.content != b"{}"


@pytest.mark.parametrize(
    "path",
    [
        "/artifacts/..%2f..%2fetc%2fpasswd/file",
        "/artifacts/%2e%2e/file",
        "/artifacts/x%00/file",
        "/blobs/..%2f..%2foutside.json",
        "/static/..%2fviews%2fjobs.html",
        "/static/%2e%2e/app.py",
        "/static/panel.css%00",
        "/static/..\\app.py",
    ],
)
def test_no_address_names_a_path(panel: Any, path: str) -> None:
    headers = {"cookie": f"_token={panel.tokens['admin']}"}
    url = httpx.URL(panel.url).copy_with(raw_path=f"/lineage{path}".encode())
    assert httpx.get(url, headers=headers, timeout=60).status_code == 404


def test_a_hostile_name_becomes_a_plain_one(world: Any) -> None:
    from dataclasses import replace

    from include.ledger.session import transaction
    from include.panel.sending import file_name
    from include.proof.trace import makings_of

    with world.here(), transaction() as session:
        made = makings_of(session, world.artifacts(world.job)["video"]["sha256"])[0]
    hostile = replace(made, kind='a"\r\nSet-Cookie: x=1; ', key="../../日本", path=f"blobs/x.{uuid4()}")
    assert all(letter.isascii() and (letter.isalnum() or letter in "-.") for letter in file_name(hostile))
    assert file_name(hostile).endswith(f"-{made.sha256[:12]}")
