"""The stage bodies of the video family: what each reads, what decides it, what it publishes."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from include.artifacts.scratch import scratch
from include.errors import ConfigurationError, InvalidInput, QualityGateFailed
from include.ledger.models import (
    GenerationLog,
    ReviewDecision,
    Scene,
    Script,
    Trend,
    TrendReport,
    TrendSnapshot,
    Video,
    Voiceover,
)
from include.settings import settings
from include.video import analysis, scoring
from include.video.params import VideoParams
from include.video.plan import canonical_json, read_script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from pydantic import BaseModel

    from include.stage import Input, Work
    from include.video.plan import Plan
    from include.video.trends.trend import TrendSource
    from include.video.writers.writer import Call, Writer

SAMPLE = Path(__file__).parent / "samples" / "youtube_trending_sample.csv"
JSON_TYPE = "application/json"


def params_of(work: Work) -> VideoParams:
    """Return the stage's parameters as their model; what the review task adds is not among them."""
    known = VideoParams.model_fields
    return VideoParams.model_validate({name: value for name, value in work.params.items() if name in known})


def trend_uuid(trend_id: str) -> UUID:
    """Return the ledger's id of a trend: the same in every job, so that counters of several jobs meet."""
    return uuid5(NAMESPACE_URL, f"throughline:trend:{trend_id}")


def _json_writer(value: BaseModel | list[Any] | dict[str, Any]) -> Callable[[Path], None]:
    content = canonical_json(value)

    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


# -- trends --------------------------------------------------------------------------------------------------------


def collect(work: Work) -> dict[str, Any]:
    """Read the chosen source, score its trends, publish them (kind `trends`).

    `auto` reads the gold table when this very job's lake run made one, else the file.
    """
    params = params_of(work)
    source = _source(work, params)
    work.settle(source=source.name, label=source.label)
    trends = scoring.score_all(source.fetch(), [source.name])
    work.publish(
        "trends",
        "",
        _json_writer(trends),
        suffix=".json",
        media_type=JSON_TYPE,
        name="trends.json",
        facts={
            "rows": len(trends.trends),
            "schema": _trend_schema(),
            "provider": source.name,
            "observed_at": trends.observed_at.isoformat(),
        },
        rows=_trend_rows(trends),
    )
    flagged = sum(1 for one in trends.trends if one.flags)
    return {"source": source.name, "trends": len(trends.trends), "flagged": flagged}


class _Captured:
    """A source bound to its captured bytes, and the name a person knows it by."""

    def __init__(self, name: str, label: str, source: TrendSource) -> None:
        self.name, self.label, self.fetch = name, label, source.fetch


def _source(work: Work, params: VideoParams) -> _Captured:
    from include.video.trends.file import FileSource
    from include.video.trends.gold import GoldSource
    from include.video.trends.hacker_news import HackerNewsSource

    chosen = params.source
    if chosen == "auto":
        chosen = "gold" if _made_gold(work) else "file"
    work.progress("trend source chosen", asked=params.source, source=chosen)
    if chosen == "gold":
        table = work.table("gold", "trends")
        return _Captured("gold", "lake/gold/trends", GoldSource(table.path))
    if chosen == "hacker_news":
        answer = _hacker_news(work)
        return _Captured("hacker_news", "hacker_news", HackerNewsSource(answer.path))
    named = settings().trends_file
    file = named or SAMPLE
    if not file.is_file():
        msg = f"THROUGHLINE_TRENDS_FILE: there is no file {file}; name a YouTube-trending CSV, or unset it for the sample"
        raise InvalidInput(msg)
    captured = work.admit(
        "trends",
        file,
        uri=file.resolve().as_uri() if named else f"throughline://samples/{SAMPLE.name}",
        media_type="text/csv",
        facts={"sample": named is None},
    )
    return _Captured("trends", file.name, FileSource(captured.path, label=file.name))


def _made_gold(work: Work) -> bool:
    made = work.history()["artifacts"]
    return any(one["kind"] == "table" and one["key"].startswith("gold/trends/") for one in made)


def _hacker_news(work: Work) -> Input:
    from include.video.trends import hacker_news

    with scratch() as folder:
        answer = folder / "hacker_news.json"
        fetched_at = hacker_news.capture(answer, base_url=settings().hacker_news_url or hacker_news.HOST)
        return work.admit(
            "hacker_news",
            answer,
            uri=f"{hacker_news.HOST}{hacker_news.PATH}",
            media_type=JSON_TYPE,
            dataset=(hacker_news.HOST, hacker_news.PATH.lstrip("/")),
            facts={"fetched_at": fetched_at.isoformat()},
        )


def _trend_schema() -> list[dict[str, str]]:
    from include.video.trends.trend import Trend as Shape

    fields = [
        {"name": name, "type": _type_name(field.annotation)} for name, field in Shape.model_fields.items()
    ]
    return [*fields, {"name": "score", "type": "float"}, {"name": "components", "type": "struct"}]


def _type_name(annotation: Any) -> str:
    text = str(annotation)
    for word, name in (("list", "array"), ("datetime", "timestamp"), ("int", "long"), ("float", "double")):
        if word in text:
            return name
    return "string"


def _trend_rows(trends: scoring.TrendSet) -> list[Trend | TrendSnapshot]:
    rows: list[Trend | TrendSnapshot] = []
    for one in trends.trends:
        trend = one.trend
        rows.append(
            Trend(
                trend_id=trend_uuid(one.trend_id),
                platform=trend.platform,
                external_id=trend.external_id,
                title=trend.title,
                url=trend.url,
                published_at=trend.published_at,
            )
        )
        rows.append(
            TrendSnapshot(
                trend_id=trend_uuid(one.trend_id),
                observed_at=trend.observed_at,
                views=trend.views,
                likes=trend.likes,
                comments=trend.comments,
                shares=trend.shares,
                score=one.score,
                components={**one.components.model_dump(mode="json"), "flags": list(one.flags)},
            )
        )
    return rows


def analyse(work: Work) -> dict[str, Any]:
    """Analyse this job's trends, publish the report (kind `report`)."""
    collected = work.input("trends")
    work.settle()
    trends = scoring.TrendSet.model_validate_json(collected.path.read_bytes())
    report = analysis.analyse(trends)
    work.publish(
        "report",
        "",
        _json_writer(report),
        suffix=".json",
        media_type=JSON_TYPE,
        name="trend-report.json",
        facts={"rows": 1, "trend_count": report.trend_count},
        rows=(
            TrendReport(
                trend_count=report.trend_count,
                window_start=report.window.published_from,
                window_end=report.window.published_to,
                summary=report.model_dump(
                    mode="json",
                    include={"styles", "patterns", "hashtags", "recommendations", "trend_ids", "flagged"},
                ),
            ),
        ),
    )
    return {
        "trends": report.trend_count,
        "leading_style": report.styles[0].name,
        "recommendations": [one.text for one in report.recommendations],
    }


# -- words ---------------------------------------------------------------------------------------------------------


def write_script(work: Work) -> dict[str, Any]:
    """Write the production plan (kind `script`) with the writer that was asked for; there is no other if it fails.

    The result names the scenes by their keys, one mapped task each.
    """
    from include.video.writers.writer import Brief

    params = params_of(work)
    collected, reported = work.input("trends"), work.input("report")
    writer = _writer(params)
    work.settle(params=params.of_script(), writer=[writer.provider, writer.version, writer.model])
    written = writer.write(
        Brief(
            params=params,
            trends=scoring.TrendSet.model_validate_json(collected.path.read_bytes()),
            report=analysis.TrendReport.model_validate_json(reported.path.read_bytes()),
        )
    )
    plan = written.script.plan
    for call in written.calls:
        _charge(work, call)
    spent = sum((call.amount_usd for call in written.calls), Decimal(0))
    work.publish(
        "script",
        "",
        _json_writer(written.script),
        suffix=".json",
        media_type=JSON_TYPE,
        name="script.json",
        facts={
            "rows": len(plan.scenes),
            "provider": writer.provider,
            "provider_version": writer.version,
            "model": writer.model,
            "seed": params.seed,
            "cost_usd": str(spent),
        },
        rows=(
            Script(
                title=plan.title,
                theme=plan.theme,
                provider=writer.provider,
                model=_model_of(writer),
                seed=params.seed,
                target_s=plan.target_s,
                narration=" ".join(sentence.text for sentence in plan.narration),
                hashtags=plan.hashtags,
            ),
            *(_log_row(call, params.seed) for call in written.calls),
        ),
    )
    return {
        "scenes": [scene.key for scene in plan.scenes],
        "title": plan.title,
        "hashtags": plan.hashtags,
        "writer": writer.provider,
        "cost_usd": str(spent),
    }


def _writer(params: VideoParams) -> Writer:
    if params.writer == "anthropic":
        from include.video.writers.anthropic_api import AnthropicWriter

        return AnthropicWriter(params.writer_model)
    from include.video.writers.grammar import GrammarWriter

    return GrammarWriter()


def _model_of(writer: Writer) -> str:
    return writer.model or f"{writer.provider} {writer.version}"


def _charge(work: Work, call: Call) -> None:
    """Note what a call cost: one row per kind of token where tokens are paid, one of zero where they are not."""
    if call.charges:
        for unit, quantity, amount in call.charges:
            work.cost(call.provider, call.model or call.provider, unit, Decimal(quantity), amount)
    else:
        work.cost(call.provider, call.model or call.provider, call.step, Decimal(1), call.amount_usd)


def _log_row(call: Call, seed: int) -> GenerationLog:
    return GenerationLog(
        step=call.step if call.attempt == 1 else f"{call.step} (attempt {call.attempt})",
        provider=call.provider,
        model=call.model or call.provider,
        seed=seed,
        prompt_sha256=call.prompt_sha256,
        output_sha256=call.output_sha256,
        tokens_in=call.tokens_in,
        tokens_out=call.tokens_out,
        amount_usd=call.amount_usd,
        duration_s=round(call.duration_s, 6),
    )


def speak(work: Work) -> dict[str, Any]:
    """Speak the plan's narration (kind `voiceover`) and tell the words' times (kind `words`)."""
    from include.video.voices.espeak import EspeakVoice
    from include.video.voices.narration import narrate

    params = params_of(work)
    if params.voice != "espeak-ng":
        msg = f"voice {params.voice!r} is not there: choose espeak-ng"
        raise ConfigurationError(msg)
    written = work.input("script")
    voice = EspeakVoice(params.language)
    work.settle(voice=voice.name, language=voice.voice, version=voice.version())
    plan = read_script(written.path).plan
    narration = narrate(plan, voice)
    characters = sum(len(sentence.text) for sentence in plan.narration)
    amount = voice.capabilities.usd_per_1000_characters * characters / 1000
    work.cost(voice.name, voice.voice, "character", Decimal(characters), amount)
    facts: Mapping[str, Any] = {
        "provider": voice.name,
        "provider_version": voice.version(),
        "voice": voice.voice,
        "duration_s": narration.duration_s,
        "pace_wpm": narration.pace_wpm,
    }
    work.publish(
        "voiceover",
        "",
        narration.write_wav,
        suffix=".wav",
        media_type="audio/wav",
        name="voiceover.wav",
        facts=facts,
        rows=(
            Voiceover(
                provider=voice.name,
                voice=voice.voice,
                duration_s=narration.duration_s,
                words=len(narration.words),
            ),
        ),
    )
    work.publish(
        "words",
        "",
        _json_writer(narration.words_json()),
        suffix=".json",
        media_type=JSON_TYPE,
        name="words.json",
        facts={"rows": len(narration.words), "provider": voice.name},
    )
    return {
        "voice": f"{voice.name} {voice.voice}",
        "words": len(narration.words),
        "duration_s": narration.duration_s,
    }


# -- pictures ------------------------------------------------------------------------------------------------------


def render_scene(work: Work) -> dict[str, Any]:
    """Render the scene whose number is the stage's key (kind `scene`), captions burned in."""
    from include.video.compose import scenes

    script, spoken = work.input("script"), work.input("words")
    plan = read_script(script.path).plan
    number = _scene_number(work.key, plan)
    words = json.loads(spoken.path.read_bytes())
    work.settle(inputs=(), scene=scenes.recipe(plan, number, words))
    scene, (_, frames) = plan.scene(number), plan.frames_of(number)
    work.publish(
        "scene",
        scene.key,
        lambda path: scenes.render(plan, number, words, path),
        suffix=".mp4",
        media_type="video/mp4",
        name=f"scene-{scene.key}.mp4",
        facts={
            "frames": frames,
            "fps": plan.fps,
            "width": plan.width,
            "height": plan.height,
            "visual": scene.visual.kind,
            "seed": plan.seed,
        },
        rows=(Scene(number=number, duration_s=frames / plan.fps, frames=frames, visual=scene.visual.kind),),
    )
    return {"scene": scene.key, "frames": frames, "visual": scene.visual.kind}


def _scene_number(key: str, plan: Plan) -> int:
    if not key.isdecimal() or not 1 <= int(key) <= len(plan.scenes):
        msg = f"scene {key!r}: the plan has the scenes 01 to {len(plan.scenes):02d}"
        raise InvalidInput(msg)
    return int(key)


THUMBNAIL_SHARE = 0.72
"""Share of the first scene after which its picture is complete; the thumbnail shows that moment."""


def compose_video(work: Work) -> dict[str, Any]:
    """Make the video from exactly the scenes that the plan names.

    Publishes captions, music (unless the form says none), mix, video and thumbnail.
    """
    from include.artifacts import media
    from include.video.compose import assemble, captions, mix, music
    from include.video.compose.timeline import timeline

    params = params_of(work)
    script, voice, spoken = work.input("script"), work.input("voiceover"), work.input("words")
    plan = read_script(script.path).plan
    scenes = [work.input("scene", scene.key) for scene in plan.scenes]
    thumbnail_s = round(plan.frames_of(1)[1] * THUMBNAIL_SHARE) / plan.fps
    work.settle(
        music=params.music, thumbnail_s=thumbnail_s, ffmpeg=media.build_digest(), numpy=version("numpy")
    )
    words = json.loads(spoken.path.read_bytes())
    with scratch() as folder:
        work.publish(
            "captions",
            "",
            lambda path: _write_text(path, captions.whole(timeline(plan, words))),
            suffix=".ass",
            media_type="text/x-ssa",
            name="captions.ass",
            facts={"words": len(words)},
            inputs=[script, spoken],
        )
        bed: Input | None = None
        if params.music:
            bed = work.publish(
                "music",
                "",
                lambda path: music.write(plan.music, plan.target_s, path),
                suffix=".wav",
                media_type="audio/wav",
                name="music.wav",
                facts={**plan.music.model_dump(), "provider": "synthesis", "duration_s": plan.target_s},
                inputs=[script],
            )
        work.progress("mixing", music=params.music)
        sound = folder / "mix.m4a"
        loudness = mix.mix(voice.path, bed.path if bed else None, sound, duration_s=plan.frames / plan.fps)
        mixed = work.publish(
            "mix",
            "",
            _copier(sound),
            suffix=".m4a",
            media_type="audio/mp4",
            name="mix.m4a",
            facts={"integrated_lufs": loudness.integrated_lufs, "true_peak_dbtp": loudness.true_peak_dbtp},
            inputs=[script, voice, *([bed] if bed else [])],
        )
        work.progress("joining", scenes=len(scenes))
        joined = folder / "video.mp4"
        assemble.assemble([scene.path for scene in scenes], sound, joined)
        video = work.publish(
            "video",
            "",
            _copier(joined),
            suffix=".mp4",
            media_type="video/mp4",
            name="video.mp4",
            facts=_video_facts(plan, joined),
            rows=(
                Video(
                    width=plan.width,
                    height=plan.height,
                    fps=plan.fps,
                    duration_s=plan.frames / plan.fps,
                    frames=plan.frames,
                    size_bytes=joined.stat().st_size,
                ),
            ),
            inputs=[script, *scenes, mixed],
        )
        work.publish(
            "thumbnail",
            "",
            lambda path: assemble.thumbnail(joined, path, at_s=thumbnail_s),
            suffix=".png",
            media_type="image/png",
            name="thumbnail.png",
            facts={"at_s": thumbnail_s},
            inputs=[video],
        )
    return {
        "video": video.sha256,
        "size_bytes": video.size_bytes,
        "duration_s": plan.frames / plan.fps,
        "integrated_lufs": loudness.integrated_lufs,
    }


def _video_facts(plan: Plan, video: Path) -> dict[str, Any]:
    """Return what the file is; QualityGateFailed when it is not as long as its plan, to the frame."""
    from include.artifacts import media

    found = media.probe(video)
    wanted_s = plan.frames / plan.fps
    if abs(found.duration_s - wanted_s) > 0.1:
        msg = f"the video lasts {found.duration_s:.3f} s, its plan {wanted_s:.3f} s"
        raise QualityGateFailed(msg)
    return {
        "width": found.width,
        "height": found.height,
        "fps": plan.fps,
        "frames": plan.frames,
        "duration_s": wanted_s,
        "scenes": len(plan.scenes),
        "seed": plan.seed,
    }


def _copier(file: Path) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        shutil.copyfile(file, path)

    return write


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


# -- review --------------------------------------------------------------------------------------------------------


def review_material(work: Work) -> dict[str, Any]:
    """Measure the finished file and make what a reviewer looks at (kinds `quality` and `review`)."""
    from include.artifacts import media
    from include.video import quality

    script, spoken, captions = work.input("script"), work.input("words"), work.input("captions")
    video = work.input("video")
    work.settle(ffmpeg=media.build_digest(), numpy=version("numpy"), pillow=version("pillow"))
    plan = read_script(script.path).plan
    words = json.loads(spoken.path.read_bytes())
    report = quality.inspect(video.path, plan, words, captions=captions.path.read_text(encoding="utf-8"))
    work.publish(
        "quality",
        "",
        _json_writer({**report.as_json(), "video_sha256": video.sha256}),
        suffix=".json",
        media_type=JSON_TYPE,
        name="quality.json",
        facts={
            "verdict": report.verdict,
            "reasons": report.reasons,
            "assertions": [
                {
                    "assertion": check.name,
                    "success": check.passed,
                    "expected": check.wanted,
                    "actual": check.found,
                }
                for check in report.checks
            ],
        },
    )
    work.publish(
        "review",
        "",
        lambda path: quality.contact_sheet(video.path, plan, path),
        suffix=".png",
        media_type="image/png",
        name="contact-sheet.png",
        facts={"scenes": len(plan.scenes)},
        inputs=[script, video],
    )
    return {"verdict": report.verdict, "reasons": report.reasons, "video": video.sha256}


def record_decision(work: Work) -> dict[str, Any]:
    """Record a decision about exactly the bytes that are there (kind `decision`).

    Beside the form's fields the stage is given decision, reviewer, reason and unattended. A video that is missing or
    altered cannot be decided about: reading it fails. Without a person, only a video that passed every automatic check is
    approved.
    """
    decision, reviewer = work.params.get("decision"), str(work.params.get("reviewer") or "").strip()
    reason, unattended = work.params.get("reason") or None, bool(work.params.get("unattended"))
    if decision not in ("approved", "rejected"):
        msg = f"decision: 'approved' or 'rejected' is due, not {decision!r}"
        raise InvalidInput(msg)
    if not reviewer:
        msg = "reviewer: a decision needs the name of who decided"
        raise InvalidInput(msg)
    video, measured = work.input("video"), work.input("quality")
    work.optional("review")
    verdict = measured.facts["verdict"]
    if unattended and decision == "approved" and verdict != "pass":
        msg = (
            f"nobody looked, and the quality report says {verdict}: {'; '.join(measured.facts['reasons'])};"
            " run again with review=human, or repair the cause"
        )
        raise QualityGateFailed(msg)
    said = {"decision": decision, "reviewer": reviewer, "reason": reason, "unattended": unattended}
    # a decision belongs to its job and to this round of review: nobody's decision is reused for another
    work.settle(**said, job_id=str(work.job_id), run_id=work.at.run_id, clear_number=work.at.clear_number)
    work.publish(
        "decision",
        "",
        _json_writer({**said, "video_sha256": video.sha256}),
        suffix=".json",
        media_type=JSON_TYPE,
        name="decision.json",
        facts={**said, "video_sha256": video.sha256},
        rows=(ReviewDecision(**said, video_sha256=video.sha256),),
    )
    return {**said, "video_sha256": video.sha256}
