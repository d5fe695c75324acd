"""The voiceover: audible, in time, with the time of every word, the same bytes every time."""

from __future__ import annotations

import subprocess
import sys
import wave
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from include.errors import ConfigurationError, QualityGateFailed
from include.settings import ROOT
from include.video.plan import Plan
from include.video.voices.espeak import LANGUAGES, EspeakVoice
from include.video.voices.narration import LEAD_S, TAIL_S, narrate
from include.video.voices.voice import SAMPLE_RATE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def plan(plan_document: dict[str, Any]) -> Plan:
    return Plan.model_validate(plan_document)


def test_a_plan_is_spoken_for_exactly_as_long_as_it_is(plan: Plan, tmp_path: Path) -> None:
    narration = narrate(plan, EspeakVoice())
    narration.write_wav(tmp_path / "v.wav")
    with wave.open(str(tmp_path / "v.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48_000, 1, 2)
        assert file.getnframes() == 16 * 48_000
    assert narration.rms > 0.02


def test_every_scene_is_audible_and_ends_before_the_next(plan: Plan) -> None:
    samples = narrate(plan, EspeakVoice()).samples.astype(np.float64) / 32768
    for scene in plan.scenes:
        first, last = (round(moment * SAMPLE_RATE) for moment in (scene.start_s, scene.end_s))
        assert np.sqrt(np.mean(samples[first:last] ** 2)) > 0.02, scene.number
        assert not samples[first : first + round(LEAD_S * SAMPLE_RATE) - 1].any()
        assert not samples[last - round(TAIL_S * SAMPLE_RATE) + 1 : last].any()


def test_words_are_those_of_the_text_in_order_inside_their_scene(plan: Plan) -> None:
    words = narrate(plan, EspeakVoice()).words
    assert " ".join(word.word for word in words) == " ".join(sentence.text for sentence in plan.narration)
    scene_of = {name: scene for scene in plan.scenes for name in scene.narration_ids}
    before = 0.0
    for word in words:
        scene = scene_of[word.sentence]
        assert before <= word.start_s < word.end_s
        assert scene.start_s <= word.start_s
        assert word.end_s <= scene.end_s
        before = word.start_s


def test_a_word_starts_where_its_sound_starts(plan: Plan) -> None:
    narration = narrate(plan, EspeakVoice())
    loud = np.abs(narration.samples.astype(np.int32)) > 400
    first_of_sentence = [
        w
        for w, before in zip(narration.words, [None, *narration.words], strict=False)
        if before is None or before.sentence != w.sentence
    ]
    assert len(first_of_sentence) == 4
    for word in first_of_sentence:
        at = round(word.start_s * SAMPLE_RATE)
        onset = int(np.flatnonzero(loud[at:])[0]) / SAMPLE_RATE
        assert onset < 0.12, word
        assert not loud[max(0, at - 4800) : at].any(), "nothing is heard before the first word of a scene"


def test_the_same_plan_gives_the_same_bytes(plan: Plan) -> None:
    one, two = narrate(plan, EspeakVoice()), narrate(plan, EspeakVoice())
    assert one.samples.tobytes() == two.samples.tobytes()
    assert one.words == two.words


def test_a_sentence_sounds_the_same_whatever_was_said_before(plan_document: dict[str, Any]) -> None:
    whole = narrate(Plan.model_validate(plan_document), EspeakVoice())
    plan_document["narration"][0]["text"] = "Something else is said here."
    plan_document["narration"][0]["evidence"] = []
    changed = narrate(Plan.model_validate(plan_document), EspeakVoice())
    assert whole.samples[: 4 * SAMPLE_RATE].tobytes() != changed.samples[: 4 * SAMPLE_RATE].tobytes()
    assert whole.samples[4 * SAMPLE_RATE :].tobytes() == changed.samples[4 * SAMPLE_RATE :].tobytes()


def test_a_long_sentence_is_spoken_faster(plan_document: dict[str, Any]) -> None:
    plan_document["narration"][1]["text"] = (
        "Halloween leads the chart by far, and everything else comes only long after it."
    )
    narration = narrate(Plan.model_validate(plan_document), EspeakVoice())
    normal = EspeakVoice().capabilities.normal_wpm
    assert narration.pace_wpm["02"] > normal
    end = 8 * SAMPLE_RATE
    assert not narration.samples[end - round(TAIL_S * SAMPLE_RATE) + 1 : end].any(), (
        "it still ends in its scene"
    )
    assert narration.pace_wpm["01"] == narration.pace_wpm["03"] == normal


def test_a_sentence_that_fits_at_no_pace_is_named(plan_document: dict[str, Any]) -> None:
    plan_document["narration"][1]["text"] = (
        "Halloween leads the chart by far, " + "and again " * 12 + "it does."
    )
    with pytest.raises(QualityGateFailed, match=r"scene 2: .* shorten the sentence 's02'"):
        narrate(Plan.model_validate(plan_document), EspeakVoice())


def test_a_sign_that_is_not_spoken_stays_with_its_word(plan_document: dict[str, Any]) -> None:
    plan_document["narration"][3]["text"] = "Tell us — which one?"
    words = [
        w.word
        for w in narrate(Plan.model_validate(plan_document), EspeakVoice()).words
        if w.sentence == "s04"
    ]
    assert words == ["Tell", "us —", "which", "one?"]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_accent_speaks_and_sounds_of_its_own(language: str) -> None:
    spoken = {
        name: EspeakVoice(name).utter("Halloween leads the chart.", 168).samples.tobytes()
        for name in LANGUAGES
    }
    assert len(spoken[language]) > SAMPLE_RATE
    assert [name for name in LANGUAGES if spoken[name] == spoken[language]] == [language]


def test_an_unknown_accent_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="'en-xx' is unknown: choose one of en-us"):
        EspeakVoice("en-xx").utter("Hello.", 168)


def test_the_library_is_loaded_in_no_process_but_the_child() -> None:
    code = (
        "import sys\n"
        "from include.video.voices.espeak import EspeakVoice\n"
        "EspeakVoice().utter('Hello.', 168)\n"
        "maps = open('/proc/self/maps').read()\n"
        "sys.exit('espeak' in maps or 'espeakng_loader' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_child_imports_nothing_of_the_project() -> None:
    code = (
        "import sys, runpy\n"
        "sys.argv = ['x']\n"
        "runpy.run_path('include/video/voices/espeak_child.py', run_name='child')\n"
        "sys.exit(any(name == 'include' or name.startswith('include.') for name in sys.modules))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_version_names_both_programs() -> None:
    assert EspeakVoice().version().startswith("espeak-ng 1.5")
    assert ", ffmpeg " in EspeakVoice().version()
