"""Music is synthesised from its seed; the mix is ducked, loud enough and never too loud."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest

from include.artifacts import media
from include.artifacts.digests import sha256_file
from include.errors import InvalidInput, QualityGateFailed
from include.video.compose import mix, music
from include.video.plan import Music

if TYPE_CHECKING:
    from pathlib import Path

LENGTH_S = 8.0


def written(path: Path, samples: np.ndarray, channels: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bursts like syllables from 1 to 4 s, then silence: a stand-in for speech with known places."""
    t = np.arange(round(LENGTH_S * 48_000)) / 48_000
    sound = (
        (np.sin(2 * np.pi * 180 * t) + 0.5 * np.sin(2 * np.pi * 1700 * t))
        * (np.sin(2 * np.pi * 3 * t) > -0.3)
        * 0.25
    )
    sound[(t < 1) | (t > 4)] = 0
    return written(tmp_path_factory.mktemp("voice") / "voice.wav", sound, 1)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("music") / "music.wav"
    music.write(Music(bpm=110, mode="minor", seed=3), LENGTH_S, path)
    return path


def samples_of(path: Path) -> np.ndarray:
    raw = media.run(
        ["-v", "error", *media.reading(path), "-f", "f32le", "-ac", "2", "-ar", "48000", "-"]
    ).stdout
    return np.frombuffer(raw, np.float32).reshape(-1, 2)


@pytest.mark.parametrize("mode", ["major", "minor", "dorian", "pentatonic"])
def test_music_repeats_by_seed_and_differs_between_seeds(mode: str) -> None:
    one, same, other = (music.synthesise(Music(bpm=96, mode=mode, seed=seed), 4.0) for seed in (5, 5, 6))
    assert np.array_equal(one, same)
    assert np.abs(one - other).mean() > 0.01


def test_music_is_stereo_audible_and_exactly_as_long(bed: Path) -> None:
    with wave.open(str(bed)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48_000, 2, 2)
        assert file.getnframes() == round(LENGTH_S * 48_000)
    samples = samples_of(bed)
    assert np.sqrt((samples**2).mean()) > 0.05
    assert np.abs(samples[:, 0] - samples[:, 1]).mean() > 0.005
    assert np.abs(samples).max() == pytest.approx(0.8, abs=0.01)


def test_music_follows_its_tempo() -> None:
    """The strongest period of its loudness is a beat of 60/bpm seconds, or a simple part of it."""
    samples = music.synthesise(Music(bpm=120, mode="major", seed=1), 12.0)
    loud = np.abs(samples).sum(1)[: 12 * 48_000 // 480 * 480].reshape(-1, 480).mean(1)
    rise = np.maximum(np.diff(loud), 0)
    rise = rise - rise.mean()
    likeness = np.correlate(rise, rise, "full")[rise.size - 1 :]
    best = int(np.argmax(likeness[20:110])) + 20
    assert min(abs(best / 100 - beats * 0.5) for beats in (0.5, 1, 2)) < 0.021


def test_music_too_short_to_be_music_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"0\.5 s"):
        music.synthesise(Music(bpm=96, mode="major", seed=1), 0.5)


@pytest.mark.parametrize("with_music", [True, False])
def test_the_mix_meets_loudness_peak_and_length(
    voice: Path, bed: Path, with_music: bool, tmp_path: Path
) -> None:
    path = tmp_path / "sound.m4a"
    said = mix.mix(voice, bed if with_music else None, path, duration_s=LENGTH_S)
    found = mix.measure(path)
    assert found == said
    assert found.integrated_lufs == pytest.approx(-14, abs=0.5)
    assert found.true_peak_dbtp <= -1.5
    assert len(samples_of(path)) / 48_000 == pytest.approx(LENGTH_S, abs=0.03)


def test_peaks_are_held_down_without_losing_loudness(voice: Path, tmp_path: Path) -> None:
    """A quiet voice with clicks ten times as loud: raising it to -14 LUFS takes a limiter."""
    samples = samples_of(voice)[:, 0] * 0.3
    samples[48_000::24_000] = 0.9
    clicking = written(tmp_path / "clicks.wav", samples, 1)
    found = mix.mix(clicking, None, tmp_path / "sound.m4a", duration_s=LENGTH_S)
    assert found.integrated_lufs == pytest.approx(-14, abs=0.5)
    assert found.true_peak_dbtp <= -1.5


def test_the_music_gives_way_to_the_voice(voice: Path, bed: Path) -> None:
    """Where the voice speaks, the part of the mix that is not voice is at least 6 dB below where it does not."""
    samples = round(LENGTH_S * 48_000)
    under = mix.duck(voice, bed, samples) - mix.duck(voice, None, samples)
    quiet = np.sqrt((under[round(1.5 * 48_000) : round(3.9 * 48_000)] ** 2).mean())
    free = np.sqrt((under[round(5.0 * 48_000) : round(6.8 * 48_000)] ** 2).mean())
    assert 20 * np.log10(free / quiet) > 6


def test_the_mix_is_the_same_bytes_every_time(voice: Path, bed: Path, tmp_path: Path) -> None:
    """Several times: what depends on the order in which streams arrive differs only now and then."""
    found = set()
    for place in range(4):
        mix.mix(voice, bed, tmp_path / f"{place}.m4a", duration_s=LENGTH_S)
        found.add(sha256_file(tmp_path / f"{place}.m4a"))
    assert len(found) == 1


def test_silence_is_refused(tmp_path: Path) -> None:
    silent = written(tmp_path / "silent.wav", np.zeros(48_000 * 3), 1)
    with pytest.raises(QualityGateFailed, match="silent"):
        mix.mix(silent, None, tmp_path / "sound.m4a", duration_s=3.0)
