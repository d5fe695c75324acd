"""The offline voice: espeak-ng in a child process, brought to 48 kHz by ffmpeg."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from include.artifacts import media
from include.artifacts.children import dying_with_us
from include.artifacts.scratch import scratch
from include.errors import ConfigurationError, InvalidInput, ProviderUnavailable
from include.settings import ROOT
from include.video.voices.voice import SAMPLE_RATE, Capabilities, Utterance, WordStart

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGES = {
    "en-us": "en-us",
    "en-gb": "en",  # espeak-ng keeps Received Standard under the bare name
    "en-gb-scotland": "en-gb-scotland",
    "en-gb-x-rp": "en-gb-x-rp",
}
QUIET = 60
"""Samples (of 32768) below this at either end are silence."""
MARGIN_S = 0.02
TIMEOUT_S = 60


@dataclass(frozen=True)
class EspeakVoice:
    """One accent of espeak-ng."""

    voice: str = "en-us"
    name: str = "espeak-ng"
    capabilities: Capabilities = field(
        default=Capabilities(
            word_times=True,
            slowest_wpm=120,
            normal_wpm=168,
            fastest_wpm=215,
            usd_per_1000_characters=Decimal(0),
        )
    )

    def version(self) -> str:
        """Return the versions of espeak-ng and of the ffmpeg that resamples."""
        return f"espeak-ng {_espeak_version()}, ffmpeg {_ffmpeg_version()}"

    def utter(self, text: str, words_per_minute: int) -> Utterance:
        """Speak one sentence; see `Voice`."""
        language = LANGUAGES.get(self.voice)
        if language is None:
            msg = f"voice language {self.voice!r} is unknown: choose one of {', '.join(LANGUAGES)}"
            raise ConfigurationError(msg)
        with scratch() as folder:
            wav = folder / "sentence.wav"
            answer = _child(
                {"language": language, "text": text, "words_per_minute": words_per_minute, "path": str(wav)}
            )
            samples = _resampled(wav)
        first, last = _loud(samples)
        start_s = first / SAMPLE_RATE
        words = tuple(
            WordStart(position, length, max(0.0, frame / answer["rate"] - start_s))
            for position, length, frame in answer["events"]
        )
        return Utterance(samples[first:last], words)


def _child(request: dict[str, Any]) -> dict[str, Any]:
    command = [*dying_with_us(), sys.executable, "-m", "include.video.voices.espeak_child"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            cwd=ROOT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"espeak-ng did not finish a sentence in {TIMEOUT_S} s"
        raise ProviderUnavailable(msg) from error
    if done.returncode == 1:
        msg = f"the voice cannot be used: {done.stderr.strip()}"
        raise ConfigurationError(msg)
    if done.returncode != 0:
        msg = f"espeak-ng died with {done.returncode}: {done.stderr.strip()[-300:]}"
        raise ProviderUnavailable(msg)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _resampled(wav: Path) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return a WAV as int16 mono at 48 kHz, rumble below 70 Hz removed."""
    command = [
        *("-loglevel", "error", "-threads", "1", *media.reading(wav)),
        *("-filter_threads", "1", "-af", f"highpass=f=70,aresample={SAMPLE_RATE}"),
        *("-fflags", "+bitexact", "-flags:a", "+bitexact", "-ac", "1", "-f", "s16le", "-"),
    ]
    try:
        done = media.run(command, timeout_s=TIMEOUT_S)
    except InvalidInput as error:
        msg = f"the speech of espeak-ng cannot be resampled: {error}"
        raise ProviderUnavailable(msg) from error
    return np.frombuffer(done.stdout, dtype="<i2")


def _loud(samples: np.ndarray[Any, np.dtype[np.int16]]) -> tuple[int, int]:
    """Return where the sound starts and ends, a small margin kept."""
    places = np.flatnonzero(np.abs(samples.astype(np.int32)) > QUIET)
    if not len(places):
        return 0, len(samples)
    margin = int(MARGIN_S * SAMPLE_RATE)
    return max(0, int(places[0]) - margin), min(len(samples), int(places[-1]) + 1 + margin)


@cache
def _espeak_version() -> str:
    with scratch() as folder:
        request = {
            "language": "en-us",
            "text": "a",
            "words_per_minute": 200,
            "path": str(folder / "a.wav"),
        }
        return str(_child(request)["version"])


@cache
def _ffmpeg_version() -> str:
    try:
        said = media.run(["-version"]).stdout.decode()
    except InvalidInput as error:
        msg = "the ffmpeg of imageio-ffmpeg does not run: install it again"
        raise ConfigurationError(msg) from error
    return said.split("\n", 1)[0].split()[2]
