"""Voice and music to one loud, level track: duck, measure, constant gain, limit, encode, measure again.

The gain is one number for the whole video, found by measuring: it cannot undo the ducking, as a gain that rides along
would. The limiter works at four times the sample rate, so that peaks between samples are caught too.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from include.artifacts import media
from include.artifacts.scratch import scratch
from include.errors import QualityGateFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TARGET_LUFS = -14.0
CEILING_DBTP = -1.5
TOLERANCE_LU = 0.5
_RATE = 48_000
_BITRATE = "192k"
_MUSIC_DB = -13.0
"""Level of the music against the voice before it is ducked."""
_BLOCK = 240
"""Samples (5 ms) that share one measured level of the voice."""
_THRESHOLD_DB, _RATIO, _MOST_DB = -31.0, 7.0, 14.0
"""From which level of the voice on the music gives way, how much of the excess it gives up, and its limit."""
_AHEAD_S, _ATTACK_S, _RELEASE_S = 0.05, 0.025, 0.42
_ROUNDS = 5
_RAW = ["-f", "f32le", "-ar", str(_RATE), "-ac", "2"]


@dataclass(frozen=True)
class Loudness:
    """Integrated loudness in LUFS and true peak in dBTP. Source: EBU R 128."""

    integrated_lufs: float
    true_peak_dbtp: float


_INTEGRATED = re.compile(r"I:\s+(-?[\d.]+|-inf|nan) LUFS")
_PEAK = re.compile(r"Peak:\s+(-?[\d.]+|-?inf|nan) dBFS")


def measure(path: Path) -> Loudness:
    """Measure the loudness of a file's sound; minus infinity where there is silence."""
    return _measured([*media.reading(path), "-map", "0:a:0"], ())


def _measured(source: list[str], feeds: Sequence[Iterable[bytes]]) -> Loudness:
    meter = ["-af", "ebur128=peak=true:framelog=quiet", "-f", "null", "-"]
    log = media.run(["-v", "info", "-nostats", *source, *meter], feeds=feeds).log
    integrated, peak = _INTEGRATED.findall(log), _PEAK.findall(log)
    if not integrated or not peak:
        raise QualityGateFailed(f"the loudness could not be measured; the log ends: {log[-500:]}")
    loud = float(integrated[-1])
    return Loudness(-math.inf if loud <= -70 else loud, float(peak[-1]))


def mix(voice: Path, music: Path | None, path: Path, *, duration_s: float) -> Loudness:
    """Write voice and music as AAC in an MP4 container, 48 kHz stereo, exactly `duration_s` long, and return its loudness.

    Parameters
    ----------
    voice
        WAV; where it is silent the music rises.
    music
        WAV, or None for the voice alone.
    duration_s
        The video's length: longer sound is cut, shorter is filled with silence.

    Raises
    ------
    QualityGateFailed
        Nothing audible, or the loudness cannot be brought within 0.5 LU of -14 LUFS below -1.5 dBTP.
    """
    samples = round(duration_s * _RATE)
    with scratch() as folder:
        joined = duck(voice, music, samples)
        before = _measured([*_RAW, "-i", "feed:0"], [[joined.tobytes()]])
        if not math.isfinite(before.integrated_lufs):
            raise QualityGateFailed("voice and music are silent: there is nothing to make a sound track of")
        gain_db, ceiling_db = TARGET_LUFS - before.integrated_lufs, CEILING_DBTP - 0.6
        trial = folder / "trial.m4a"
        for _ in range(_ROUNDS):
            _master(joined, trial, gain_db, ceiling_db, samples)
            after = measure(trial)
            if (
                abs(after.integrated_lufs - TARGET_LUFS) <= TOLERANCE_LU / 2
                and after.true_peak_dbtp <= CEILING_DBTP
            ):
                break
            gain_db += TARGET_LUFS - after.integrated_lufs
            if after.true_peak_dbtp > CEILING_DBTP:  # the encoder swings above what it was given
                ceiling_db -= after.true_peak_dbtp - CEILING_DBTP + 0.1
        if abs(after.integrated_lufs - TARGET_LUFS) > TOLERANCE_LU or after.true_peak_dbtp > CEILING_DBTP:
            raise QualityGateFailed(
                f"the sound came out at {after.integrated_lufs:.1f} LUFS and {after.true_peak_dbtp:.1f} dBTP;"
                f" wanted are {TARGET_LUFS:g} +- {TOLERANCE_LU:g} LUFS and at most {CEILING_DBTP:g} dBTP"
            )
        path.write_bytes(trial.read_bytes())
        return after


def _fixed(samples: int) -> str:
    return f"apad=whole_len={samples},atrim=end_sample={samples}"


def duck(voice: Path, music: Path | None, samples: int) -> NDArray[np.float32]:
    """Join voice and music, the music made quieter while the voice speaks; shape (samples, 2).

    Not by ffmpeg's `sidechaincompress`: its output differs from run to run with the order in which its two inputs
    arrive.
    """
    spoken = _decoded(
        voice, "highpass=f=80,acompressor=threshold=0.125:ratio=2.5:attack=8:release=120:makeup=1.6,", samples
    )
    if music is None:
        return spoken
    bed = _decoded(music, "", samples) * np.float32(10 ** (_MUSIC_DB / 20))
    return spoken + bed * _gains(spoken)[:, None]


def _decoded(path: Path, filters: str, samples: int) -> NDArray[np.float32]:
    raw = media.run(
        [
            *("-v", "error", "-filter_threads", "1", *media.reading(path), "-map", "0:a:0"),
            *(
                "-af",
                f"aformat=sample_fmts=flt:sample_rates={_RATE}:channel_layouts=stereo,{filters}{_fixed(samples)}",
            ),
            *("-f", "f32le", "-ac", "2", "-ar", str(_RATE), "-"),
        ]
    ).stdout
    return np.frombuffer(raw, "<f4").reshape(-1, 2).astype(np.float32)


def _gains(spoken: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the gain of the music at every sample: it falls a little before the voice and rises slowly after it."""
    count = -(-spoken.shape[0] // _BLOCK)
    power = np.zeros(count * _BLOCK, np.float64)
    power[: spoken.shape[0]] = (spoken.astype(np.float64) ** 2).mean(axis=1)
    level_db = 10 * np.log10(power.reshape(count, _BLOCK).mean(axis=1) + 1e-12)
    wanted = np.clip((level_db - _THRESHOLD_DB) * (1 - 1 / _RATIO), 0, _MOST_DB)
    step_s = _BLOCK / _RATE
    fall, rise = math.exp(-step_s / _ATTACK_S), math.exp(-step_s / _RELEASE_S)
    ahead = round(_AHEAD_S / step_s)
    cuts, now = np.zeros(count), 0.0
    for place in range(count):
        goal = float(wanted[place : place + ahead + 1].max())
        keep = fall if goal > now else rise
        now = goal + (now - goal) * keep
        cuts[place] = now
    middles = (np.arange(count) + 0.5) * _BLOCK
    smooth = np.interp(np.arange(spoken.shape[0]), middles, cuts)
    gains: NDArray[np.float32] = (10 ** (-smooth / 20)).astype(np.float32)
    return gains


def _master(joined: NDArray[np.float32], path: Path, gain_db: float, ceiling_db: float, samples: int) -> None:
    limit = 10 ** (ceiling_db / 20)
    chain = (
        f"volume={gain_db:.3f}dB:precision=float,aresample={_RATE * 4},"
        f"alimiter=limit={limit:.5f}:attack=4:release=90:level=false:latency=true,aresample={_RATE},{_fixed(samples)}"
    )
    media.run(
        [
            *("-v", "error", "-filter_threads", "1", *_RAW, "-i", "feed:0", "-af", chain),
            *("-c:a", "aac", "-b:a", _BITRATE, "-ar", str(_RATE), "-ac", "2", "-threads", "1"),
            *("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "-f", "mp4", path),
        ],
        feeds=[[joined.tobytes()]],
    )
