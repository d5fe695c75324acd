"""One job from the sample to a decided video, on a real ledger: every artifact, row and edge; reuse; the gate at the end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from include.artifacts import media
from include.errors import ArtifactCorrupt, InvalidInput, NotReady
from include.ledger.jobs import open_job
from include.ledger.models import Artifact, ArtifactInput, ReviewDecision, Scene, StageRun, Video
from include.ledger.session import transaction
from include.settings import settings
from include.stage import Outcome, Stage, run_stage
from include.video import declared
from include.video.params import VideoParams

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.slow

# small and short, so that a whole video takes seconds; everything else is as in a full run
FORM = {"size": "720x720", "target_s": 15, "fps": 24, "seed": 3, "theme": "Paper boats"}
WORDS = (declared.TREND_COLLECTION, declared.TREND_ANALYSIS, declared.WRITE_SCRIPT, declared.SPEAK)


def new_job() -> UUID:
    with transaction() as session:
        return open_job(session, derived=uuid4(), given=None, dag_id="video", run_id=f"r{uuid4()}", params={})


def run(
    stage: Stage, job: UUID, key: str = "", extra: Mapping[str, Any] | None = None, **form: Any
) -> Outcome:
    params = VideoParams.model_validate({**FORM, **form}).model_dump(mode="json")
    return run_stage(stage, job_id=job, key=key, params={**params, **(extra or {})})


def make(job: UUID, **form: Any) -> dict[str, str]:
    """Run every stage up to the review's material; return how each ended."""
    ended = {stage.name: run(stage, job, **form) for stage in WORDS}
    for key in ended["content_generation.write_script"].result["scenes"]:
        ended[f"scene {key}"] = run(declared.RENDER_SCENE, job, key, **form)
    ended["composition"] = run(declared.COMPOSITION, job, **form)
    ended["material"] = run(declared.REVIEW_MATERIAL, job, "material", **form)
    return {name: outcome.status for name, outcome in ended.items()}


def decide(job: UUID, decision: str, **said: Any) -> Outcome:
    extra = {"decision": decision, "reviewer": "Ada", "reason": None, "unattended": False, **said}
    return run(declared.REVIEW, job, "decision", extra)


def digests(job: UUID) -> dict[str, str]:
    with transaction() as session:
        found = session.scalars(
            select(Artifact).where(
                Artifact.job_id == job, Artifact.superseded_at.is_(None), Artifact.kind != "source"
            )
        )
        return {f"{one.kind} {one.key}".strip(): one.sha256 for one in found}


def sources_of(job: UUID, kind: str) -> set[str]:
    """Return the kinds of everything that an artifact was made from, directly or not."""
    with transaction() as session:
        edges: dict[UUID, list[UUID]] = {}
        for made, read in session.execute(select(ArtifactInput.artifact_id, ArtifactInput.input_id)):
            edges.setdefault(made, []).append(read)
        kinds = dict(session.execute(select(Artifact.artifact_id, Artifact.kind)).all())
        start = session.scalars(
            select(Artifact.artifact_id).where(
                Artifact.job_id == job, Artifact.kind == kind, Artifact.superseded_at.is_(None)
            )
        ).one()
    seen, waiting = set[UUID](), [start]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += edges.get(one, [])
    return {kinds[one] for one in seen - {start}}


def test_a_job_ends_with_a_video_that_leads_back_to_its_source_and_can_be_decided_about(ledger: str) -> None:
    job = new_job()
    make(job)
    folder = settings().store / "out" / str(job)
    found = media.probe(folder / "video.mp4")
    assert (found.width, found.height, found.video_codec, found.audio_codec) == (720, 720, "h264", "aac")
    assert found.duration_s == pytest.approx(15, abs=1 / 24)
    quality = json.loads((folder / "quality.json").read_text())
    assert quality["verdict"] == "pass", quality["reasons"]

    made = digests(job)
    scenes = {name for name in made if name.startswith("scene ")}
    assert set(made) - scenes == {
        *(
            "trends",
            "report",
            "script",
            "voiceover",
            "words",
            "captions",
            "music",
            "mix",
            "video",
            "thumbnail",
        ),
        *("quality", "review"),
    }
    assert sources_of(job, "video") == {
        *("source", "trends", "report", "script", "voiceover", "words", "music", "mix", "scene"),
    }
    assert {"video", "source"} <= sources_of(job, "thumbnail")
    with transaction() as session:
        assert session.scalar(select(func.count()).select_from(Scene)) == len(scenes)
        video = session.scalars(select(Video)).one()
        assert (video.job_id, video.frames, video.duration_s) == (job, 360, 15)

    decided = decide(job, "rejected", reason="too loud")
    assert decided.result["video_sha256"] == made["video"]
    assert decide(job, "rejected", reason="too loud").status == "reused", "a retry decides nothing anew"
    decide(job, "approved", reviewer="Grace")
    assert {"video", "quality", "review", "source"} <= sources_of(job, "decision")
    with transaction() as session:
        said = session.scalars(select(ReviewDecision).order_by(ReviewDecision.decided_at)).all()
        assert [(one.decision, one.reviewer, one.reason) for one in said] == [
            ("rejected", "Ada", "too loud"),
            ("approved", "Grace", None),
        ]
        assert {one.video_sha256 for one in said} == {made["video"]}

    # a second job with the same form makes nothing anew, and has every artifact as its own
    again = new_job()
    assert set(make(again).values()) == {"reused"}
    assert digests(again) == {name: digest for name, digest in made.items() if name != "decision"}

    # what was altered on disk cannot be decided about
    (stored,) = {path.resolve() for path in [folder / "video.mp4"]}
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactCorrupt):
        decide(job, "approved")
    with transaction() as session:
        failed = session.scalars(select(StageRun).where(StageRun.status == "failed")).one()
        assert (failed.stage, failed.key) == ("review", "decision")


def test_a_scene_that_the_plan_does_not_have_is_refused(ledger: str) -> None:
    job = new_job()
    for stage in WORDS:
        run(stage, job)
    for key in ("00", "99", "x", ""):
        with pytest.raises(InvalidInput, match="the plan has the scenes 01 to"):
            run(declared.RENDER_SCENE, job, key)
    with pytest.raises(NotReady, match="has no scene artifact with key '01'"):
        run(declared.COMPOSITION, job)
