"""The offline voice: espeak-ng in a child process, brought to 48 kHz by ffmpeg."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from include.errors import ConfigurationError, ProviderUnavailable
from include.settings import ROOT
from include.video.voices.voice import SAMPLE_RATE, Capabilities, Utterance, WordStart

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
        with tempfile.TemporaryDirectory(prefix="throughline-voice-") as folder:
            wav = Path(folder) / "sentence.wav"
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
    command = [sys.executable, "-m", "include.video.voices.espeak_child"]
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


def _ffmpeg() -> str:
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _resampled(wav: Path) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return a WAV as int16 mono at 48 kHz, rumble below 70 Hz removed."""
    command = [
        *(_ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", "-i", str(wav)),
        *("-filter_threads", "1", "-af", f"highpass=f=70,aresample={SAMPLE_RATE}"),
        *("-fflags", "+bitexact", "-flags:a", "+bitexact", "-ac", "1", "-f", "s16le", "-"),
    ]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        msg = f"ffmpeg could not resample speech: {done.stderr.decode(errors='replace')[-300:]}"
        raise ProviderUnavailable(msg)
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
    with tempfile.TemporaryDirectory(prefix="throughline-voice-") as folder:
        request = {
            "language": "en-us",
            "text": "a",
            "words_per_minute": 200,
            "path": str(Path(folder) / "a.wav"),
        }
        return str(_child(request)["version"])


@cache
def _ffmpeg_version() -> str:
    done = subprocess.run([_ffmpeg(), "-version"], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        msg = "the ffmpeg of imageio-ffmpeg does not run: install it again"
        raise ConfigurationError(msg)
    return done.stdout.split("\n", 1)[0].split()[2]
