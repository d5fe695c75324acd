"""The commands a person types after a campaign: from a file to its sources, from a job to its files, whether all holds."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.stack


def test_a_file_copied_anywhere_leads_back_to_its_sources(stack: Any, campaign: Any, tmp_path: Path) -> None:
    made = stack.state_dir / "artifacts" / "out" / str(campaign.job_id) / "dossier.pdf"
    copy = tmp_path / "sent by mail.pdf"
    shutil.copyfile(made, copy)
    told = json.loads(stack.throughline("trace", str(copy), "--json").stdout)
    assert told["verdict"] == "proved"
    first = told["makings"][0]
    assert (first["job_id"], first["kind"]) == (str(campaign.job_id), "dossier")
    sources = {item["dataset"] for item in first["upstream"] if item["kind"] == "source"}
    assert sources == {"sources/trends", "sources/leads", "sources/assessments"}
    assert "source trends" in stack.throughline("trace", told["sha256"]).stdout


def test_bytes_that_nobody_here_made_are_unknown(stack: Any, campaign: Any, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pdf"
    stranger.write_bytes(b"%PDF-1.7 from elsewhere")
    done = stack.throughline("trace", str(stranger), check=False)
    assert done.returncode == 1
    assert "unknown" in done.stdout
    assert stack.throughline("trace", "no-such-file", check=False).returncode == 2


def test_a_job_lists_its_outputs(stack: Any, campaign: Any) -> None:
    told = json.loads(stack.throughline("outputs", str(campaign.job_id), "--json").stdout)
    known = stack.query(
        "SELECT count(*) AS n FROM artifact WHERE job_id = %s AND superseded_at IS NULL", campaign.job_id
    )
    assert len(told["artifacts"]) == known[0]["n"]
    assert "video.mp4" in stack.throughline("outputs", str(campaign.job_id)).stdout
    missing = stack.throughline("outputs", "00000000-0000-4000-8000-000000000000", check=False)
    assert missing.returncode == 2
    assert "no such job" in missing.stderr
    jobs = json.loads(stack.throughline("jobs", "--json", "--limit", "1000").stdout)
    assert str(campaign.job_id) in {job["job_id"] for job in jobs}


def test_verify_finds_everything_in_place(stack: Any, campaign: Any) -> None:
    done = stack.throughline("verify", "--job", str(campaign.job_id), "--json", check=False)
    told = json.loads(done.stdout)
    assert told["findings"] == []
    assert told["lineage"]["differences"] == []
    assert told["lineage"]["runs"] > 30
    assert done.returncode == 0


def test_a_replay_delivers_every_event_again(stack: Any, campaign: Any) -> None:
    events = stack.query("SELECT count(*) AS n FROM event WHERE job_id = %s", campaign.job_id)[0]["n"]
    told = stack.throughline("replay", "--job", str(campaign.job_id)).stdout
    assert told.startswith(f"{events} events wait")
    stack.delivered(campaign.job_id)


def test_a_sweep_would_delete_nothing_that_is_named(stack: Any, campaign: Any) -> None:
    told = json.loads(stack.throughline("sweep", "--json").stdout)
    assert (told["deleted"], told["orphans"]) == (False, [])
