"""The voiceover of a plan: every sentence inside its scene, the whole exactly as long as the video."""

from __future__ import annotations

import wave
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.errors import QualityGateFailed
from include.video.voices.voice import SAMPLE_RATE, Utterance, Voice

if TYPE_CHECKING:
    from pathlib import Path

    from include.video.plan import Plan, Scene, Sentence

LEAD_S = 0.12
"""Silence before the first sentence of a scene."""
TAIL_S = 0.06
"""Silence that stays at the end of a scene."""
PAUSE_S = 0.16
"""Silence between two sentences of a scene."""
TRIES = 4


@dataclass(frozen=True)
class Word:
    """One word as captions show it: with its punctuation, in seconds from the start of the video."""

    word: str
    start_s: float
    end_s: float
    sentence: str


@dataclass(frozen=True)
class Narration:
    """A spoken plan: int16 mono at 48 kHz as long as the video, the words, and the pace of each scene."""

    samples: np.ndarray[Any, np.dtype[np.int16]]
    words: tuple[Word, ...]
    pace_wpm: dict[str, int]

    @property
    def duration_s(self) -> float:
        """Length of the sound."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def rms(self) -> float:
        """Root mean square of the samples, 0 to 1."""
        return float(np.sqrt(np.mean(np.square(self.samples.astype(np.float64) / 32768))))

    def write_wav(self, path: Path) -> None:
        """Write the sound as a WAV file."""
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(self.samples.astype("<i2").tobytes())

    def words_json(self) -> list[dict[str, Any]]:
        """Return the words as plain JSON: [{word, start_s, end_s, sentence}]."""
        return [asdict(word) for word in self.words]


def narrate(plan: Plan, voice: Voice) -> Narration:
    """Speak a plan. A scene whose sentences do not fit is spoken faster, up to the voice's limit.

    Raises
    ------
    QualityGateFailed
        A scene's sentences do not fit even at the fastest pace, the sound is silent, or a word's time is not known.
    """
    samples = np.zeros(round(plan.target_s * SAMPLE_RATE), dtype=np.int16)
    words: list[Word] = []
    pace: dict[str, int] = {}
    for scene in plan.scenes:
        sentences = plan.sentences_of(scene.number)
        if not sentences:
            continue
        pace[scene.key], utterances = _fit(scene, sentences, voice)
        at = round((scene.start_s + LEAD_S) * SAMPLE_RATE)
        for sentence, utterance in zip(sentences, utterances, strict=True):
            samples[at : at + len(utterance.samples)] = utterance.samples
            words += words_of(sentence, utterance, at / SAMPLE_RATE)
            at += len(utterance.samples) + round(PAUSE_S * SAMPLE_RATE)
    narration = Narration(samples, tuple(words), pace)
    _check(plan, narration)
    return narration


def _fit(scene: Scene, sentences: list[Sentence], voice: Voice) -> tuple[int, list[Utterance]]:
    room_s = scene.duration_s - LEAD_S - TAIL_S - PAUSE_S * (len(sentences) - 1)
    able = voice.capabilities
    pace = able.normal_wpm
    utterances: list[Utterance] = []
    for _ in range(TRIES):
        utterances = [voice.utter(sentence.text, pace) for sentence in sentences]
        spoken_s = sum(utterance.duration_s for utterance in utterances)
        if spoken_s <= room_s:
            return pace, utterances
        if pace >= able.fastest_wpm:
            break
        # pauses do not shrink with the pace, so a little more than the ratio is needed
        pace = min(able.fastest_wpm, max(pace + 2, round(pace * spoken_s / room_s * 1.02)))
    spoken_s = sum(utterance.duration_s for utterance in utterances)
    longest = max(zip(sentences, utterances, strict=True), key=lambda pair: pair[1].duration_s)[0]
    msg = (
        f"scene {scene.number}: its narration takes {spoken_s:.2f} s at {pace} words per minute, the scene has"
        f" {room_s:.2f} s; shorten the sentence {longest.id!r} ({longest.text!r}) or lengthen the scene"
    )
    raise QualityGateFailed(msg)


def words_of(sentence: Sentence, utterance: Utterance, start_s: float) -> list[Word]:
    """Return the words of a sentence as they are written (split at blanks), each with its time in the video.

    A word that is spoken as several ("1.1") starts with its first part; a sign that is not spoken (a dash) belongs to
    the word before it. A word ends where the next starts.

    Raises
    ------
    QualityGateFailed
        The voice told no time for the sentence.
    """
    spans: list[tuple[int, int]] = []
    place = 0
    for token in sentence.text.split():
        place = sentence.text.index(token, place)
        spans.append((place, place + len(token)))
        place += len(token)
    starts: list[float | None] = []
    for first, last in spans:
        told = [word.start_s for word in utterance.words if first <= word.position < last]
        starts.append(min(told) if told else None)
    joined: list[tuple[str, float]] = []
    for (first, last), start in zip(spans, starts, strict=True):
        text = sentence.text[first:last]
        if start is None and joined:
            joined[-1] = (f"{joined[-1][0]} {text}", joined[-1][1])
        elif start is None or (joined and start <= joined[-1][1]):
            msg = f"the voice told no usable time for {text!r} in the sentence {sentence.id!r}"
            raise QualityGateFailed(msg)
        else:
            joined.append((text, start))
    ends = [start for _, start in joined[1:]] + [utterance.duration_s]
    return [
        Word(text, round(start_s + start, 3), round(start_s + end, 3), sentence.id)
        for (text, start), end in zip(joined, ends, strict=True)
    ]


def _check(plan: Plan, narration: Narration) -> None:
    if abs(narration.duration_s - plan.target_s) > 0.1:
        msg = f"the voiceover lasts {narration.duration_s:.2f} s, the plan {plan.target_s:.2f} s"
        raise QualityGateFailed(msg)
    if narration.rms <= 0:
        msg = "the voiceover is silent"
        raise QualityGateFailed(msg)
    before = 0.0
    for word in narration.words:
        if not before <= word.start_s < word.end_s:
            msg = f"the word {word.word!r} of {word.sentence!r} is not after the word before it"
            raise QualityGateFailed(msg)
        before = word.start_s
