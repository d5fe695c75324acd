"""The stage bodies on a real ledger: what they publish, which rows, which edges, how they fail."""

from __future__ import annotations

import json
import shutil
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text

from include.errors import ConfigurationError, InvalidInput, NotReady, QualityGateFailed
from include.ledger.jobs import open_job
from include.ledger.models import (
    Artifact,
    ArtifactInput,
    Cost,
    GenerationLog,
    ReviewDecision,
    Script,
    StageRun,
    Trend,
    TrendReport,
    TrendSnapshot,
    Voiceover,
)
from include.ledger.session import transaction
from include.medallion import declared as lake
from include.medallion.params import MedallionParams
from include.settings import settings
from include.stage import Outcome, Stage, run_stage
from include.video import declared
from include.video.params import VideoParams
from include.video.plan import STEPS, read_script
from include.video.stages import SAMPLE, trend_uuid
from tests.loopback import Answering, serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

sys.path.insert(0, str(Path(__file__).parent))  # `ready_bodies` is named by a stage as module:function


def new_job() -> UUID:
    with transaction() as session:
        return open_job(session, derived=uuid4(), given=None, dag_id="video", run_id=f"r{uuid4()}", params={})


def run(stage: Stage, job: UUID, key: str = "", **params: Any) -> Outcome:
    given = VideoParams.model_validate({k: v for k, v in params.items() if k in VideoParams.model_fields})
    extra = {k: v for k, v in params.items() if k not in VideoParams.model_fields}
    return run_stage(stage, job_id=job, key=key, params={**given.model_dump(mode="json"), **extra})


def run_all(job: UUID, stages: Iterable[Stage], **params: Any) -> Outcome:
    outcome = None
    for stage in stages:
        outcome = run(stage, job, **params)
    assert outcome is not None
    return outcome


def current(job: UUID) -> dict[str, Artifact]:
    with transaction() as session:
        found = session.scalars(
            select(Artifact).where(Artifact.job_id == job, Artifact.superseded_at.is_(None))
        )
        return {artifact.kind: artifact for artifact in found}


def edges(job: UUID) -> set[tuple[str, str]]:
    made, read = Artifact.__table__.alias("made"), Artifact.__table__.alias("read")
    query = (
        select(made.c.kind, read.c.kind)
        .join(ArtifactInput.__table__, ArtifactInput.__table__.c.artifact_id == made.c.artifact_id)
        .join(read, read.c.artifact_id == ArtifactInput.__table__.c.input_id)
        .where(made.c.job_id == job)
    )
    with transaction() as session:
        return {(row[0], row[1]) for row in session.execute(query)}


def path_of(job: UUID, name: str) -> Path:
    return settings().store / "out" / str(job) / name


WORDS = (declared.TREND_COLLECTION, declared.TREND_ANALYSIS, declared.WRITE_SCRIPT, declared.SPEAK)


def test_from_the_bundled_sample_to_the_spoken_word(ledger: str) -> None:
    job = new_job()
    outcome = run_all(job, WORDS, theme="Paper boats", seed=3)
    assert outcome.result["duration_s"] == 16.0
    artifacts = current(job)
    assert set(artifacts) == {"source", "trends", "report", "script", "voiceover", "words"}
    assert artifacts["source"].facts["sample"] is True
    assert edges(job) == {
        ("trends", "source"),
        ("report", "trends"),
        ("script", "trends"),
        ("script", "report"),
        ("voiceover", "script"),
        ("words", "script"),
    }
    script = read_script(path_of(job, "script.json"))
    assert script.plan.theme == "Paper boats"
    assert "Paper boats" in script.plan.title
    with transaction() as session:
        written = session.scalars(select(Script)).one()
        assert (written.provider, written.seed, written.theme) == ("grammar", 3, "Paper boats")
        assert list(session.scalars(select(GenerationLog.step).order_by(GenerationLog.step))) == sorted(STEPS)
        assert session.scalars(select(Voiceover)).one().words == len(
            json.loads(path_of(job, "words.json").read_text())
        )
        assert session.scalar(select(func.sum(Cost.amount_usd))) == Decimal(0)
        for model in (Trend, TrendSnapshot, TrendReport, Script, GenerationLog, Voiceover, Cost):
            assert set(session.scalars(select(model.job_id))) == {job}, model.__name__


def test_a_trend_exists_once_and_each_job_has_its_own_sight_of_it(ledger: str) -> None:
    first, second = new_job(), new_job()
    run(declared.TREND_COLLECTION, first)
    assert run(declared.TREND_COLLECTION, second).status == "reused"
    with transaction() as session:
        assert session.scalar(select(func.count()).select_from(Trend)) == 38
        for job in (first, second):
            count = select(func.count()).select_from(TrendSnapshot).where(TrendSnapshot.job_id == job)
            assert session.scalar(count) == 38
        one = session.scalars(select(TrendSnapshot).where(TrendSnapshot.job_id == second)).first()
        assert one is not None
        assert one.score is not None
        assert "velocity_per_h" in one.components


def test_scores_in_the_ledger_are_those_of_the_artifact(ledger: str) -> None:
    job = new_job()
    run(declared.TREND_COLLECTION, job)
    trends = json.loads(path_of(job, "trends.json").read_text())["trends"]
    with transaction() as session:
        scores = dict(session.execute(select(TrendSnapshot.trend_id, TrendSnapshot.score)).all())
    assert scores == {
        trend_uuid(f"{one['trend']['platform']}:{one['trend']['external_id']}"): one["score"]
        for one in trends
    }


def test_another_seed_reuses_the_trends_and_writes_anew(ledger: str) -> None:
    first, second = new_job(), new_job()
    run_all(first, WORDS, seed=1)
    statuses = [run(stage, second, seed=2).status for stage in WORDS]
    assert statuses == ["reused", "reused", "succeeded", "succeeded"]
    assert current(first)["script"].sha256 != current(second)["script"].sha256


def test_equal_jobs_give_equal_bytes_even_when_made_anew(ledger: str) -> None:
    first, second = new_job(), new_job()
    run_all(first, WORDS, seed=5)
    run_all(second, WORDS, seed=5, fresh=True)
    made, again = current(first), current(second)
    assert {kind: one.sha256 for kind, one in made.items()} == {
        kind: one.sha256 for kind, one in again.items()
    }
    assert all(one.reused_from is None for one in again.values())


def test_the_accent_only_concerns_the_voice(ledger: str) -> None:
    first, second = new_job(), new_job()
    run_all(first, WORDS)
    statuses = [run(stage, second, language="en-gb").status for stage in WORDS]
    assert statuses == ["reused", "reused", "reused", "succeeded"]


@pytest.fixture
def trends_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger: str) -> Path:
    file = tmp_path / "2026-06-01_XX_videos.csv"
    shutil.copy(SAMPLE, file)
    monkeypatch.setenv("THROUGHLINE_TRENDS_FILE", str(file))
    settings.cache_clear()
    return file


def test_a_file_of_ones_own_is_captured_and_named(trends_file: Path) -> None:
    job = new_job()
    run(declared.TREND_COLLECTION, job)
    source = current(job)["source"]
    assert (source.facts["sample"], source.facts["uri"]) == (False, trends_file.as_uri())


def test_a_broken_file_leaves_nothing_but_the_failed_attempt_and_what_it_read(trends_file: Path) -> None:
    whole = trends_file.read_text()
    trends_file.write_text(whole.replace("view_count", "clicks", 1))
    job = new_job()
    with pytest.raises(InvalidInput, match=r"2026-06-01_XX_videos\.csv lacks the column view_count"):
        run(declared.TREND_COLLECTION, job)
    assert current(job) == {}
    with transaction() as session:
        failed = session.scalars(select(StageRun)).one()
        assert failed.status == "failed"
        assert failed.facts is not None
        assert [one["name"] for one in failed.facts["inputs"]] == ["sources/trends"]
        assert session.scalar(select(func.count()).select_from(Trend)) == 0
    trends_file.write_text(whole)
    assert run(declared.TREND_COLLECTION, job).status == "succeeded"


def test_a_missing_file_is_named_with_its_setting(trends_file: Path) -> None:
    trends_file.unlink()
    with pytest.raises(
        InvalidInput, match=r"THROUGHLINE_TRENDS_FILE: there is no file .*2026-06-01_XX_videos\.csv"
    ):
        run(declared.TREND_COLLECTION, new_job())


def test_gold_without_a_table_says_what_to_run(ledger: str) -> None:
    with pytest.raises(NotReady, match="run the medallion DAG first"):
        run(declared.TREND_COLLECTION, new_job(), source="gold")


@pytest.mark.parametrize("stage", WORDS[1:], ids=lambda stage: stage.name)
def test_a_stage_before_its_inputs_are_there_says_so(ledger: str, stage: Stage) -> None:
    with pytest.raises(NotReady, match=r"has no .* artifact"):
        run(stage, new_job())


def test_a_reference_to_nothing_fails_the_script_by_name(ledger: str) -> None:
    job = new_job()
    run_all(job, WORDS[:2])
    with pytest.raises(
        InvalidInput, match="content_references: 'no such thing' matches none of the 38 trends"
    ):
        run(declared.WRITE_SCRIPT, job, content_references=["no such thing"])


def test_a_decision_needs_the_bytes_it_is_about(ledger: str) -> None:
    with pytest.raises(NotReady, match="has no video artifact"):
        run(declared.REVIEW, new_job(), "decision", decision="approved", reviewer="Ada")
    with transaction() as session:
        assert session.scalar(select(func.count()).select_from(ReviewDecision)) == 0


@pytest.mark.parametrize(
    ("said", "named"),
    [({"decision": "maybe", "reviewer": "Ada"}, "decision"), ({"decision": "approved"}, "reviewer")],
)
def test_an_incomplete_decision_is_refused(ledger: str, said: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        run(declared.REVIEW, new_job(), "decision", **said)


def test_a_writer_that_cannot_be_asked_fails_the_stage_and_no_other_writes(
    ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    settings.cache_clear()
    job = new_job()
    run_all(job, WORDS[:2])
    with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY"):
        run(declared.WRITE_SCRIPT, job, writer="anthropic")
    assert "script" not in current(job)
    with transaction() as session:
        failed = session.scalars(select(StageRun).where(StageRun.status == "failed")).one()
        assert failed.stage == "content_generation.write_script"
        assert session.scalar(select(func.count()).select_from(Script)) == 0


class _Stories(Answering):
    """One made-up front page, in the shape of the search API."""

    def do_GET(self) -> None:
        hits = [
            {
                "objectID": str(number),
                "title": f"A sample story about engine {number}",
                "points": 10 * number,
                "num_comments": number,
                "created_at_i": 1780300800 + number,
            }
            for number in range(1, 9)
        ]
        self.answer(200, {"hits": hits})


@pytest.fixture
def hacker_news(ledger: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with serving(_Stories) as address:
        monkeypatch.setenv("THROUGHLINE_HACKER_NEWS_URL", address)
        settings.cache_clear()
        yield


def test_a_live_source_is_captured_as_it_answered_and_told_in_points(hacker_news: None) -> None:
    job = new_job()
    run_all(job, WORDS[:3], source="hacker_news")
    source = current(job)["source"]
    assert (source.namespace, source.dataset) == ("https://hn.algolia.com", "api/v1/search")
    assert ("trends", "source") in edges(job)
    stored = json.loads(path_of(job, "source-hacker_news.json").read_text())
    assert len(stored["answer"]["hits"]) == 8
    trends = json.loads(path_of(job, "trends.json").read_text())
    assert trends["sources"] == ["hacker_news"]
    with transaction() as session:
        assert "views" not in session.scalars(select(Script.narration)).one()


@pytest.fixture(params=["sample", "GB"])
def real_file(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, ledger: str) -> Path:
    """A trends file that both the lake and the video family read."""
    file = SAMPLE
    if request.param != "sample":
        file = request.getfixturevalue("shared_data") / "youtube" / f"2018-11-01_{request.param}_videos.csv"
    monkeypatch.setenv("THROUGHLINE_TRENDS_FILE", str(file))
    settings.cache_clear()
    return file


def test_gold_of_the_lake_and_the_file_it_was_made_of_give_the_same_scores(real_file: Path) -> None:
    job, other = new_job(), new_job()
    for stage in lake.stages_of("trends"):
        run_stage(stage, job_id=job, key="latest", params=MedallionParams().model_dump(mode="json"))
    outcome = run(declared.TREND_COLLECTION, job)
    assert outcome.result["source"] == "gold", "auto: this job's own lake run made the table"
    assert [one["name"] for one in outcome.facts["inputs"]] == ["lake/gold/trends"]
    assert ("trends", "table") in edges(job)
    assert run(declared.TREND_COLLECTION, other).result["source"] == "trends", (
        "another job's table is not its own"
    )
    from_gold, from_file = (
        {
            one["trend"]["external_id"]: one
            for one in json.loads(path_of(one, "trends.json").read_text())["trends"]
        }
        for one in (job, other)
    )
    assert len(from_gold) > 30
    for name, one in from_gold.items():
        assert one["components"] == from_file[name]["components"]
        assert one["trend"]["observed_at"] == from_file[name]["trend"]["observed_at"]
        assert one["trend"]["previous_views"] == from_file[name]["trend"]["previous_views"]
    assert from_gold.keys() == from_file.keys()


def test_without_a_person_only_a_video_that_passed_is_approved(ledger: str, tmp_path: Path) -> None:
    file = tmp_path / "video"
    file.write_bytes(b"as if it were a video")
    ready = Stage("ready", "test", "ready_bodies:reviewed_video", code=("include/errors.py",))
    said = {"decision": "approved", "reviewer": "unattended", "unattended": True}
    bad, good = new_job(), new_job()
    run_stage(
        ready,
        job_id=bad,
        params={"file": str(file), "verdict": "fail", "reasons": ["loudness: found -30 LUFS"]},
    )
    with pytest.raises(QualityGateFailed, match=r"nobody looked.*loudness: found -30 LUFS"):
        run(declared.REVIEW, bad, "decision", **said)
    by_hand = run(declared.REVIEW, bad, "decision", decision="approved", reviewer="Ada", unattended=False)
    assert by_hand.result["decision"] == "approved", "a person may still decide"
    run_stage(ready, job_id=good, params={"file": str(file), "verdict": "pass", "reasons": []})
    assert run(declared.REVIEW, good, "decision", **said).result["unattended"] is True


def test_the_declared_datasets_are_those_the_stages_make(ledger: str) -> None:
    job = new_job()
    run_all(job, WORDS)
    with transaction() as session:
        made = session.execute(
            text(
                "select distinct s.stage, a.dataset from artifact a join stage_run s using (stage_run_id) where a.kind <> 'source'"
            )
        ).all()
    names = {stage.name: set(stage.outputs) for stage in WORDS}
    assert {(stage, dataset) for stage, dataset in made} == {
        (stage, dataset) for stage, datasets in names.items() for dataset in datasets
    }
