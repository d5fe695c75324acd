"""The estimate of speaking time, against the voice itself."""

from __future__ import annotations

import pytest

from include.video.voices.espeak import EspeakVoice
from include.video.writers.pacing import spoken_s

SENTENCES = (
    "Paper Boats already has 3.9 million views, and 160 thousand more an hour.",
    "Look at what 1.1 million people watched.",
    "Which one would you watch? Tell us.",
    "Stop scrolling: 2 million views for A Ghost Does My Makeup.",
    "4,504 comments stand under Epic Halloween Costumes.",
    "We read 38 trends so you do not have to.",
    "The busiest hour is 4 PM, universal time.",
)


@pytest.mark.parametrize("text", SENTENCES)
def test_the_estimate_is_near_what_the_voice_takes(text: str) -> None:
    voice = EspeakVoice()
    taken_s = voice.utter(text, voice.capabilities.normal_wpm).duration_s
    assert spoken_s(text) == pytest.approx(taken_s, rel=0.3, abs=0.25)
