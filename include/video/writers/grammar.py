"""The offline writer: a seeded grammar over the analysed trends, under the same rules as any other writer.

A script is a hook, beats about what the evidence offers, and a call to action. Every choice is a function of the seed
and of the brief; equal briefs and seeds give equal scripts, to the byte. Figures are only spoken through the evidence
that carries them: a sentence is a template, and its slots are names of evidence.
"""

from __future__ import annotations

import hashlib
import math
import re
import string
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from include.errors import QualityGateFailed
from include.video.plan import (
    Mood,
    Music,
    Overlay,
    Palette,
    Plan,
    Scene,
    Script,
    Sentence,
    Step,
    Visual,
    WriterNote,
    canonical_json,
    scene_bounds,
)
from include.video.trends.trend import hashtag
from include.video.writers.evidence import Claims, Subject, gather, leads
from include.video.writers.pacing import WORDS_PER_S, spoken_s
from include.video.writers.writer import Brief, Call, Written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from include.video.plan import StepName

VERSION = "1"
ATTEMPTS = 200
MARGIN_S = 0.2
"""Silence that a scene keeps beside its sentence."""

PALETTES: dict[Mood, tuple[Palette, ...]] = {
    "bright": ("sunrise", "candy", "ocean"),
    "calm": ("ocean", "forest"),
    "driving": ("night", "candy"),
    "serious": ("night", "ocean"),
}
MUSIC: dict[Mood, tuple[tuple[int, int], tuple[str, ...]]] = {
    "bright": ((108, 126), ("major", "pentatonic")),
    "calm": ((72, 88), ("major", "pentatonic")),
    "driving": ((124, 140), ("dorian", "minor")),
    "serious": ((80, 96), ("minor", "dorian")),
}
REMARKS = (
    ("What rises fast can also fall fast.", ("Up fast", "Gone fast?")),
    ("The order can change within a day.", ("Today's order", "is not tomorrow's")),
    ("A trend is a moment, not a verdict.", ("A moment,", "not a verdict")),
    ("Figures say how much, not why.", ("How much,", "not why")),
    ("Look at the source before you share it.", ("Look first,", "share later")),
    ("Your own list may look different.", ("Your list", "may differ")),
    ("A count is only as good as its source.", ("Counted", "at the source")),
    ("Nobody knows what comes next.", ("What", "comes next?")),
)
"""What can be said without evidence; it fills up when there is little evidence."""
HASHTAGS_OF_LAST_RESORT = ("#trending", "#trends", "#shorts", "#today", "#charts", "#numbers", "#watch")


T = TypeVar("T")


@dataclass(frozen=True)
class Beat:
    """One scene's worth: templates of its sentence, its picture, the heading over it.

    Slots of a template are `name` and `unit` (of the subject), `theme`, fields of the subject, fields of the report behind
    `r_`. A template claims no order, reason or rise that the evidence does not hold.
    """

    kind: str
    templates: tuple[str, ...]
    visual: Visual
    heading: str
    subject: Subject | None = None
    slots: dict[str, tuple[str, str | None]] = field(default_factory=dict)


class Chooser:
    """Choices that depend on the seed and on the name of the choice, and on nothing else."""

    def __init__(self, *seed: Any) -> None:
        self.seed = "|".join(str(part) for part in seed)

    def number(self, below: int, *name: Any) -> int:
        """Return a whole number from 0 to below - 1."""
        text = "|".join([self.seed, *(str(part) for part in name)])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % below

    def pick(self, options: Sequence[Any], *name: Any) -> Any:
        """Return one of the options."""
        return options[self.number(len(options), *name)]

    def shuffled(self, options: Sequence[Any], *name: Any) -> list[Any]:
        """Return the options in another order."""
        keyed = [(self.number(2**63, *name, place), place) for place in range(len(options))]
        return [options[place] for _, place in sorted(keyed)]


class GrammarWriter:
    """Writes without network, model or cost."""

    provider = "grammar"
    version = VERSION
    model: str | None = None

    def write(self, brief: Brief) -> Written:
        """Return a script; see `Writer`."""
        record = _Record()
        claims = record.take(
            "theme_interpretation",
            brief.params.of_script(),
            lambda: gather(brief),
            lambda made: [made.theme, made.keywords, [subject.scored.trend_id for subject in made.subjects]],
        )
        evidence = {name: one.model_dump(mode="json") for name, one in claims.evidence.items()}
        beats = record.take(
            "trend_alignment",
            [claims.theme, evidence],
            lambda: list(_beats(brief, claims)),
            lambda made: [[beat.kind, beat.heading, beat.templates] for beat in made],
        )
        draft = record.take(
            "scene_construction",
            [[beat.kind, beat.templates] for beat in beats],
            lambda: _compose(brief, claims, beats),
            lambda made: [[beat.kind, beat.visual.model_dump(mode="json")] for beat, _, _ in made],
        )
        sentences = record.take(
            "narration",
            [[beat.kind, evidence] for beat, _, evidence in draft],
            lambda: _narration(draft),
            lambda made: [sentence.model_dump(mode="json") for sentence in made],
        )
        plan = record.take(
            "overlay_design",
            [[beat.heading, sentence.text] for (beat, _, _), sentence in zip(draft, sentences, strict=True)],
            lambda: _finish(brief, claims, draft, sentences),
            lambda made: made.model_dump(mode="json"),
        )
        return Written(Script(plan=plan, steps=record.steps), tuple(record.calls))


class _Record:
    """Keeps what each of the five steps was given and gave."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.calls: list[Call] = []

    def take(self, name: StepName, given: Any, do: Callable[[], T], seen: Callable[[T], Any]) -> T:
        """Do one step and record it; `given` and what `seen` makes of the result are plain JSON values."""
        started = time.monotonic()
        made = do()
        took_s = time.monotonic() - started
        prompt = _digest(["grammar", VERSION, name, given])
        zero = Decimal(0)
        self.steps.append(
            Step(
                step=name,
                prompt_digest=prompt,
                provider="grammar",
                model=None,
                tokens_in=0,
                tokens_out=0,
                cost_usd=zero,
            )
        )
        self.calls.append(Call(name, 1, "grammar", None, prompt, _digest(seen(made)), 0, 0, zero, took_s))
        return made


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()


# -- what there is to tell -----------------------------------------------------------------------------------------


def _datum(claims: Claims, evidence_id: str, label: str) -> dict[str, Any]:
    evidence = claims.evidence[evidence_id]
    return {"label": label, "value": evidence.value, "display": evidence.display, "evidence": evidence_id}


def _rivals(claims: Claims, subject: Subject, field: str) -> list[Subject]:
    """Return the subject itself and up to four others that have the figure in the same unit."""
    able = [other for other in claims.subjects if other.has(field) and other.unit == subject.unit]
    return [subject, *[other for other in able if other is not subject][:4]]


def _ranked(claims: Claims, subjects: list[Subject], field: str) -> list[dict[str, Any]]:
    data = [_datum(claims, subject.fields[field], subject.label) for subject in subjects]
    return sorted(data, key=lambda datum: -float(datum["value"]))


def _palette(brief: Brief) -> Palette:
    options = PALETTES[brief.params.mood]
    return options[Chooser(brief.params.seed).number(len(options), "palette")]


def _beats(brief: Brief, claims: Claims) -> Iterator[Beat]:
    """Yield the hooks, the middle beats and the closings that the evidence bears."""
    palette = _palette(brief)

    def show(kind: Any, **data: Any) -> Visual:
        return Visual(kind=kind, data=data, palette=palette)

    yield from _hooks(claims, show)
    for subject in claims.subjects:
        yield from _subject_beats(claims, subject, show)
    yield from _report_beats(claims, show)
    yield from _closings(claims, show)


def _slots(claims: Claims, subject: Subject | None) -> dict[str, tuple[str, str | None]]:
    """Return what a template may say: slot -> (words, evidence id)."""
    slots: dict[str, tuple[str, str | None]] = {
        f"r_{name.replace('.', '_')}": (claims.evidence[where].display, where)
        for name, where in claims.report.items()
    }
    slots["r_unit"] = (claims.unit, None)
    slots["theme"] = (claims.theme, "q.theme" if "q.theme" in claims.evidence else None)
    if subject is not None:
        slots |= {
            name: (claims.evidence[where].display, where)
            for name, where in subject.fields.items()
            if name not in ("title", "channel")
        }
        slots["unit"] = (subject.unit, None)
        if subject.name:
            slots["name"] = (subject.name, subject.name_evidence)
    return slots


def _hooks(claims: Claims, show: Any) -> Iterator[Beat]:
    lead = claims.subjects[0]
    slots = _slots(claims, lead)
    count = claims.evidence[claims.report["count"]]
    if lead.has("reach"):
        yield Beat(
            "hook",
            (
                "{name} already has {reach} {unit}.",
                "Stop scrolling: {reach} {unit} for {name}.",
                "What earns {name} {reach} {unit}?",
                "{reach} {unit}. That is where {name} stands.",
                "How did {name} get to {reach} {unit}?",
                "One item here has {reach} {unit}.",
                "Look at this: {reach} {unit}.",
                "Can {reach} {unit} be an accident?",
            ),
            show("big_number", **_datum(claims, lead.fields["reach"], f"{lead.unit}: {lead.label}")),
            claims.theme,
            lead,
            slots,
        )
    if lead.has("pace"):
        yield Beat(
            "hook",
            (
                "{name} averages {pace} {unit} an hour.",
                "On average, {pace} {unit} an hour for {name}.",
                "{pace} {unit} an hour. What is going on?",
                "This one moves: {pace} {unit} an hour.",
                "How does {name} average {pace} {unit} an hour?",
            ),
            show("big_number", **_datum(claims, lead.fields["pace"], f"{lead.unit} an hour: {lead.label}")),
            claims.theme,
            lead,
            slots,
        )
    yield Beat(
        "hook",
        (
            "We read {r_count} trends so you do not have to.",
            "{r_count} trends, and a few to remember.",
            "Out of {r_count} trends, these stand out.",
            "{theme}, told by {r_count} trends.",
            "{theme}. Here are the facts.",
        ),
        show(
            "kinetic",
            lines=[claims.theme, f"{count.display} trends"],
            evidence=_known(claims, "q.theme", "r.count"),
        ),
        claims.theme,
        None,
        slots,
    )


def _known(claims: Claims, *names: str) -> list[str]:
    return [name for name in names if name in claims.evidence]


def _subject_beats(claims: Claims, subject: Subject, show: Any) -> Iterator[Beat]:
    slots = _slots(claims, subject)
    lead = subject is claims.subjects[0]
    if subject.has("title"):
        channel = subject.fields.get("channel")
        yield Beat(
            "title",
            (
                (
                    "First, {name}.",
                    "Remember the name: {name}.",
                    "Start with {name}.",
                    "Begin here: {name}.",
                )
                if lead
                else (
                    "Then there is {name}.",
                    "Also on the list: {name}.",
                    "Keep an eye on {name}.",
                    "And there is {name}.",
                    *(() if subject.name else ("And this is on the list, too.",)),
                )
            ),
            show(
                "quote",
                text=claims.evidence[subject.fields["title"]].display,
                source=claims.evidence[channel].display if channel else "",
                evidence=[subject.fields["title"]] + ([channel] if channel else []),
            ),
            "In its own words",
            subject,
            slots,
        )
    if subject.has("reach") and not lead:
        rivals = _rivals(claims, subject, "reach")
        if len(rivals) > 1:
            yield Beat(
                "compare",
                (
                    "{name} has {reach} {unit}.",
                    "{name} stands at {reach} {unit}.",
                    "{name} holds {reach} {unit}.",
                    "Compare {name}: {reach} {unit}.",
                    "Beside it, {reach} {unit} for {name}.",
                    *(() if subject.name else ("Another one here has {reach} {unit}.",)),
                ),
                show(
                    "bars",
                    unit=subject.unit,
                    items=_ranked(claims, rivals, "reach"),
                ),
                f"{subject.unit.capitalize()} compared",
                subject,
                slots,
            )
    if subject.has("pace"):
        rivals = _rivals(claims, subject, "pace")
        if len(rivals) > 1:
            yield Beat(
                "pace",
                (
                    "{name} averages {pace} {unit} an hour.",
                    "{name} runs at {pace} {unit} an hour.",
                    "For {name}, an hour means {pace} {unit}.",
                    "Speed matters: {name} does {pace} an hour.",
                    *(() if subject.name else ("Another one averages {pace} {unit} an hour.",)),
                ),
                show(
                    "bars",
                    unit=f"{subject.unit} an hour",
                    items=_ranked(claims, rivals, "pace"),
                ),
                f"{subject.unit.capitalize()} an hour, compared",
                subject,
                slots,
            )
    if subject.has("like_rate"):
        yield Beat(
            "likes",
            (
                "For {name}, likes come to {like_rate} of views.",
                "Likes on {name}: {like_rate} of its views.",
                "{name} has likes for {like_rate} of its views.",
            ),
            show(
                "big_number",
                **_datum(claims, subject.fields["like_rate"], f"likes per view: {subject.label}"),
            ),
            "Likes for views",
            subject,
            slots,
        )
    if subject.has("comments"):
        yield Beat(
            "comments",
            (
                "{comments} comments stand under {name}.",
                "People wrote {comments} comments under {name}.",
                "{name} drew {comments} comments.",
                *(() if subject.name else ("One of them drew {comments} comments.",)),
            ),
            show("big_number", **_datum(claims, subject.fields["comments"], f"comments: {subject.label}")),
            "The talk below",
            subject,
            slots,
        )
    if subject.has("before", "gain"):
        yield Beat(
            "growth",
            (
                "Since the last look, {name} won {gain} views.",
                "{name} is up {gain} views since the last count.",
                "Between two looks, {gain} more views for {name}.",
            ),
            show(
                "line",
                unit="views",
                points=[
                    _datum(claims, subject.fields["before"], "before"),
                    _datum(claims, subject.fields["reach"], "now"),
                ],
            ),
            "Still growing",
            subject,
            slots,
        )


def _report_beats(claims: Claims, show: Any) -> Iterator[Beat]:
    slots, report = _slots(claims, None), claims.report
    styles = [number for number in range(1, 6) if f"style{number}.count" in report]
    if len(styles) > 1:
        yield Beat(
            "styles",
            (
                "{r_style1} fills {r_style1_share} of the list.",
                "{r_style1_count} of {r_count} belong to {r_style1}.",
                *(
                    (
                        "The biggest group is {r_style1}, with {r_style1_count}.",
                        "{r_style1} leads, {r_style2} follows.",
                    )
                    if leads(claims, "style1.count", "style2.count")
                    else ()
                ),
            ),
            show(
                "bars",
                unit="items",
                items=[
                    _datum(
                        claims,
                        report[f"style{number}.count"],
                        claims.evidence[report[f"style{number}"]].display[:28],
                    )
                    for number in styles
                ],
            ),
            "What the list is made of",
            None,
            slots,
        )
        yield Beat(
            "share",
            ("That is {r_style1_share} for {r_style1}.", "{r_style1} alone takes {r_style1_share}."),
            show(
                "big_number",
                **_datum(claims, report["style1.share"], claims.evidence[report["style1"]].display),
            ),
            "Share of the list",
            None,
            slots,
        )
    tags = [number for number in range(1, 6) if f"tag{number}.count" in report]
    if len(tags) > 1:
        yield Beat(
            "hashtags",
            (
                "One hashtag is on {r_tag1_count} of them.",
                "The same hashtag, on {r_tag1_count} of them.",
                *(
                    ("The favourite hashtag is on {r_tag1_count} of them.",)
                    if leads(claims, "tag1.count", "tag2.count")
                    else ()
                ),
            ),
            show(
                "bars",
                unit="items",
                items=[
                    _datum(
                        claims,
                        report[f"tag{number}.count"],
                        claims.evidence[report[f"tag{number}"]].display[:28],
                    )
                    for number in tags
                ],
            ),
            "Hashtags they share",
            None,
            slots,
        )
    hours = sorted(name for name in report if re.fullmatch(r"hour\d\d\.count", name))
    if "hour" in report and len(hours) > 2:
        yield Beat(
            "hours",
            (
                "The favourite hour to publish is {r_hour}, universal time.",
                "The busiest hour is {r_hour}, universal time.",
                "More came out at {r_hour} than at any other hour.",
            ),
            show(
                "line",
                unit="items",
                points=[_datum(claims, report[name], f"{name[4:6]} h") for name in hours],
            ),
            "When they were published",
            None,
            slots,
        )
    if "reach" in report:
        yield Beat(
            "total",
            (
                "Together they have {r_reach} {r_unit}.",
                "All of them add up to {r_reach} {r_unit}.",
                "Counted together: {r_reach} {r_unit}.",
            ),
            show("big_number", **_datum(claims, report["reach"], f"{claims.unit}, all together")),
            "The whole list",
            None,
            slots,
        )
    if "pattern" in report:
        yield Beat(
            "pattern",
            (
                "And {r_pattern_share} of the titles share one pattern.",
                "One pattern is in {r_pattern_share} of the titles.",
            ),
            show(
                "big_number",
                **_datum(
                    claims, report["pattern.share"], f"titles: {claims.evidence[report['pattern']].display}"
                ),
            ),
            "How the titles work",
            None,
            slots,
        )
    yield Beat(
        "spread",
        (
            "All of this comes from {r_count} trends.",
            "Every figure here is counted from {r_count} trends.",
            "The count behind it: {r_count} trends.",
        ),
        show("big_number", **_datum(claims, report["count"], "trends counted")),
        "Where it comes from",
        None,
        slots,
    )
    for sentence, lines in REMARKS:
        yield Beat("remark", (sentence,), show("kinetic", lines=list(lines)), "Keep in mind", None, slots)


def _closings(claims: Claims, show: Any) -> Iterator[Beat]:
    calls = (
        ("Which one would you watch? Tell us.", "Tell us in the comments"),
        ("Follow for the next count.", "Follow for the next count"),
        ("Save this before the list changes.", "Save it for later"),
        ("Did you see it coming? Write to us.", "Write to us"),
        ("Send this to somebody who missed it.", "Send it on"),
        ("Come back for the next list.", "See you at the next list"),
        ("Agree? The comments are open.", "Agree?"),
        ("What did we miss? Tell us below.", "What did we miss?"),
        ("Which one surprised you most?", "Which one surprised you?"),
        ("That is the list. Until next time.", "Until next time"),
    )
    for sentence, call in calls:
        yield Beat(
            "closing",
            (sentence,),
            show("closing", headline=claims.theme, call=call, evidence=_known(claims, "q.theme")),
            "",
            None,
            {},
        )


# -- putting it together -------------------------------------------------------------------------------------------


def _said(beat: Beat, template: str) -> tuple[str, list[str]] | None:
    """Return a template's sentence and evidence, None when a slot has nothing to say or cannot be said."""
    evidence: list[str] = []
    words: dict[str, str] = {}
    for _, slot, _, _ in string.Formatter().parse(template):
        if slot is None:
            continue
        if slot not in beat.slots:
            return None
        words[slot], source = beat.slots[slot]
        if source:
            evidence.append(source)
    text = template.format(**words)
    if not text.isascii():
        return None
    return text[0].upper() + text[1:], list(dict.fromkeys(evidence))


def _options(beats: list[Beat], longest_s: float) -> list[tuple[Beat, str, list[str]]]:
    """Return every sentence that can be said within the longest scene, with its beat and its evidence."""
    found = []
    for beat in beats:
        for template in beat.templates:
            said = _said(beat, template)
            if said is not None and spoken_s(said[0]) + MARGIN_S <= longest_s:
                found.append((beat, *said))
    return found


Draft = list[tuple[Beat, str, list[str]]]


def _compose(brief: Brief, claims: Claims, beats: list[Beat]) -> Draft:
    """Return hook, beats and closing that together fill the video and fit into it.

    Drafts are drawn one after another from the seed; the first that fits counts. A good draft speaks most of the
    time; when none of the first draws does, any draft that fits is taken.
    """
    params, bounds = brief.params, scene_bounds(brief.params.target_s)
    options = _options(beats, bounds.longest_s)
    hooks = [one for one in options if one[0].kind == "hook"]
    closings = [one for one in options if one[0].kind == "closing"]
    middles = [one for one in options if one[0].kind not in ("hook", "closing")]
    best: tuple[float, Draft] | None = None
    for attempt in range(ATTEMPTS):
        choose = Chooser(
            params.seed, *(one.trend_id for one in brief.trends.trends[:8]), params.theme, attempt
        )
        count = _scene_count(choose, params.target_s)
        draft = _draw(choose, hooks, middles, closings, count, relaxed=attempt >= ATTEMPTS // 2)
        if draft is None:
            continue
        spoken = sum(max(bounds.shortest_s, spoken_s(text) + MARGIN_S) for _, text, _ in draft)
        words = sum(len(text.split()) for _, text, _ in draft)
        if spoken > params.target_s or words > WORDS_PER_S * params.target_s:
            continue
        if spoken >= 0.82 * params.target_s:
            return draft
        if best is None or spoken > best[0]:
            best = (spoken, draft)
    if best is None:
        msg = f"no script fits {params.target_s:g} s: choose a longer target or another seed"
        raise QualityGateFailed(msg)
    return best[1]


def _scene_count(choose: Chooser, target_s: float) -> int:
    bounds = scene_bounds(target_s)
    usual_s = 3.2 if bounds.longest_s <= 4 else 4.2  # a longer video breathes more slowly
    usual = max(bounds.fewest, min(bounds.most, round(target_s / usual_s)))
    around = [n for n in (usual - 1, usual, usual, usual + 1) if bounds.fewest <= n <= bounds.most]
    return int(choose.pick(around or [usual], "scenes"))


def _draw(
    choose: Chooser, hooks: Draft, middles: Draft, closings: Draft, count: int, *, relaxed: bool
) -> Draft | None:
    """Return one draft of `count` scenes, None when the options do not give so many.

    No fact is told twice and no kind of beat comes often, unless `relaxed`; remarks only fill up.
    """
    draft = [choose.pick(hooks, "hook")]
    used_facts = {fact for fact in draft[0][2] if not _is_name(fact)}
    used_texts, kinds = {draft[0][1]}, list[str]()
    options = choose.shuffled(middles, "middles")
    options.sort(key=lambda option: option[0].kind == "remark")
    for option in options:
        if len(draft) == count - 1:
            break
        beat, text, evidence = option
        facts = {fact for fact in evidence if not _is_name(fact)}
        told_before = bool(facts & used_facts) and not relaxed
        too_often = kinds.count(beat.kind) > count // 8 and not relaxed
        named_before = beat.kind == "title" and any(
            other.kind == "title" and other.subject is beat.subject for other, _, _ in draft
        )
        if text in used_texts or told_before or too_often or named_before:
            continue
        draft.append(option)
        used_texts.add(text)
        used_facts |= facts
        kinds.append(beat.kind)
    if len(draft) < count - 1:
        return None
    # what is said of the leader comes first, what is said of the list as a whole last
    hook, rest = draft[0], draft[1:]
    rest.sort(key=lambda one: (one[0].subject is None, one[0].subject.id if one[0].subject else ""))
    return [hook, *rest, choose.pick(closings, "closing")]


def _is_name(evidence_id: str) -> bool:
    return evidence_id.endswith((".title", ".channel")) or evidence_id == "q.theme"


def _narration(draft: Draft) -> list[Sentence]:
    return [
        Sentence(id=f"s{place:02d}", text=text, evidence=evidence)
        for place, (_, text, evidence) in enumerate(draft, start=1)
    ]


def _lengths(brief: Brief, draft: Draft) -> list[int]:
    """Return the frames of each scene: what its sentence needs, and its part of what is left."""
    params, bounds = brief.params, scene_bounds(brief.params.target_s)
    total = round(params.target_s * params.fps)
    most = math.ceil(bounds.longest_s * params.fps - 1e-9)
    need = [
        min(most, max(round(bounds.shortest_s * params.fps), round((spoken_s(text) + MARGIN_S) * params.fps)))
        for _, text, _ in draft
    ]
    spare = total - sum(need)
    while spare > 0:  # one frame at a time to the scene with the least air: exact, and quickly done
        place = min(
            (place for place in range(len(need)) if need[place] < most),
            key=lambda place: (need[place] - spoken_s(draft[place][1]) * params.fps, place),
        )
        need[place] += 1
        spare -= 1
    while spare < 0:  # rounding up took a frame too many
        place = max(range(len(need)), key=lambda place: (need[place], -place))
        need[place] -= 1
        spare += 1
    return need


def _finish(brief: Brief, claims: Claims, draft: Draft, sentences: list[Sentence]) -> Plan:
    params = brief.params
    choose = Chooser(params.seed, "overlays", *(sentence.text for sentence in sentences))
    scenes, first = [], 0
    for place, ((beat, _, _), frames) in enumerate(zip(draft, _lengths(brief, draft), strict=True), start=1):
        duration_s = round((first + frames) / params.fps, 6) - round(first / params.fps, 6)
        scenes.append(
            Scene(
                number=place,
                start_s=round(first / params.fps, 6),
                duration_s=round(duration_s, 6),
                visual=beat.visual,
                narration_ids=[f"s{place:02d}"],
                overlays=_overlays(choose, beat, place, round(duration_s, 6)),
            )
        )
        first += frames
    (slowest, fastest), modes = MUSIC[params.mood]
    document = {
        "title": _title(claims),
        "theme": params.theme,
        "width": params.width,
        "height": params.height,
        "fps": params.fps,
        "target_s": params.target_s,
        "seed": params.seed,
        "mood": params.mood,
        "narration": sentences,
        "scenes": scenes,
        "hashtags": hashtags_for(brief, claims),
        "music": Music(
            bpm=slowest + choose.number(fastest - slowest + 1, "bpm"),
            mode=choose.pick(modes, "mode"),
            seed=params.seed,
        ),
        "evidence": claims.evidence,
        "writer": WriterNote(provider="grammar", version=VERSION),
    }
    try:
        return Plan.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(problem["msg"] for problem in error.errors())
        msg = f"the grammar wrote a plan that breaks the rules: {problems}"
        raise QualityGateFailed(msg) from error


def _overlays(choose: Chooser, beat: Beat, place: int, duration_s: float) -> list[Overlay]:
    if not beat.heading:
        return []
    opening = place == 1
    return [
        Overlay(
            text=beat.heading,
            start_s=0.0 if opening else 0.15,
            end_s=round(duration_s - 0.1, 6),
            style="bold" if opening else "label",
            position="top",
            animation=choose.pick(("fade", "slide"), "animation", place),
        )
    ]


def _title(claims: Claims) -> str:
    name = claims.subjects[0].name
    title = f"{claims.theme}: {name}" if name else claims.theme
    return title if len(title) <= 120 else title[:119].rstrip() + "…"


def hashtags_for(brief: Brief, claims: Claims) -> list[str]:
    """Return six to eight hashtags: the theme's, the leading style's, those the trends share, then general ones."""
    wanted: list[str | None] = [hashtag(word) for word in claims.keywords[:2]]
    wanted.append(hashtag(brief.report.styles[0].name))
    wanted += [tag.tag for tag in brief.report.hashtags if len(tag.tag) <= 24][:5]
    wanted += HASHTAGS_OF_LAST_RESORT
    chosen: dict[str, str] = {}
    for tag in wanted:
        if tag is not None and re.fullmatch(r"#\w{1,60}", tag):
            chosen.setdefault(tag.casefold(), tag)
    return list(chosen.values())[:8]


__all__ = ["VERSION", "GrammarWriter", "hashtags_for"]
