"""Voice and music to one loud, level track: duck, measure, constant gain, limit, encode, measure again.

The gain is one number for the whole video, found by measuring: it cannot undo the ducking, as a gain that rides along
would. The limiter works at four times the sample rate, so that peaks between samples are caught too.
"""

from __future__ import annotations

import math
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from include.artifacts import media
from include.errors import QualityGateFailed

TARGET_LUFS = -14.0
CEILING_DBTP = -1.5
TOLERANCE_LU = 0.5
_RATE = 48_000
_BITRATE = "192k"
_MUSIC_DB = -13.0
"""Level of the music against the voice before it is ducked."""
_ROUNDS = 5


@dataclass(frozen=True)
class Loudness:
    """Integrated loudness in LUFS and true peak in dBTP. Source: EBU R 128."""

    integrated_lufs: float
    true_peak_dbtp: float


_INTEGRATED = re.compile(r"I:\s+(-?[\d.]+|-inf|nan) LUFS")
_PEAK = re.compile(r"Peak:\s+(-?[\d.]+|-?inf|nan) dBFS")


def measure(path: Path) -> Loudness:
    """Measure the loudness of a file's sound; minus infinity where there is silence."""
    log = media.run(
        [
            "-v",
            "info",
            "-nostats",
            *media.reading(path),
            "-map",
            "0:a:0",
            "-af",
            "ebur128=peak=true:framelog=quiet",
            "-f",
            "null",
            "-",
        ]
    ).log
    integrated, peak = _INTEGRATED.findall(log), _PEAK.findall(log)
    if not integrated or not peak:
        raise QualityGateFailed(
            f"the loudness of {path.name} could not be measured; the log ends: {log[-500:]}"
        )
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
    with tempfile.TemporaryDirectory(prefix="mix-") as name:
        ducked = Path(name) / "ducked.wav"
        _duck(voice, music, ducked, samples)
        before = measure(ducked)
        if not math.isfinite(before.integrated_lufs):
            raise QualityGateFailed("voice and music are silent: there is nothing to make a sound track of")
        gain_db, ceiling_db = TARGET_LUFS - before.integrated_lufs, CEILING_DBTP - 0.6
        trial = Path(name) / "trial.m4a"
        for _ in range(_ROUNDS):
            _master(ducked, trial, gain_db, ceiling_db, samples)
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


def _duck(voice: Path, music: Path | None, path: Path, samples: int) -> None:
    """Join voice and music, the music made quieter while the voice speaks; 32-bit float WAV."""
    stereo = f"aformat=sample_fmts=fltp:sample_rates={_RATE}:channel_layouts=stereo"
    spoken = f"[0:a]{stereo},highpass=f=80,acompressor=threshold=0.125:ratio=2.5:attack=8:release=120:makeup=1.6,{_fixed(samples)}"
    inputs: list[str | Path] = [*media.reading(voice)]
    if music is None:
        chains = f"{spoken}[out]"
    else:
        inputs += media.reading(music)
        chains = (
            f"{spoken},asplit=2[said][key];"
            f"[1:a]{stereo},volume={_MUSIC_DB}dB,{_fixed(samples)}[bed];"
            "[bed][key]sidechaincompress=threshold=0.03:ratio=7:attack=25:release=420:knee=4[under];"
            "[said][under]amix=inputs=2:normalize=0:duration=first[out]"
        )
    media.run(
        [
            *("-v", "error", "-filter_complex_threads", "1"),
            *inputs,
            *("-filter_complex", chains, "-map", "[out]", "-c:a", "pcm_f32le"),
            *("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "-f", "wav", path),
        ]
    )


def _master(ducked: Path, path: Path, gain_db: float, ceiling_db: float, samples: int) -> None:
    limit = 10 ** (ceiling_db / 20)
    chain = (
        f"volume={gain_db:.3f}dB:precision=float,aresample={_RATE * 4},"
        f"alimiter=limit={limit:.5f}:attack=4:release=90:level=false:latency=true,aresample={_RATE},{_fixed(samples)}"
    )
    media.run(
        [
            *("-v", "error", "-filter_threads", "1", *media.reading(ducked), "-af", chain),
            *("-c:a", "aac", "-b:a", _BITRATE, "-ar", str(_RATE), "-ac", "2", "-threads", "1"),
            *("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "-f", "mp4", path),
        ]
    )
