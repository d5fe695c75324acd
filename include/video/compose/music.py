"""The music bed: chords, bass, arpeggio and drums, synthesised from tempo, mode and seed; nobody else's notes.

48 kHz stereo, float32 inside, 16 bit in the file. The same arguments give the same samples.
"""

from __future__ import annotations

import random
import wave
from typing import TYPE_CHECKING

import numpy as np

from include.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from include.video.plan import Music

RATE = 48_000
_SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "pentatonic": (0, 2, 4, 5, 7, 9, 11),
}
_PROGRESSIONS = {
    "major": ((0, 4, 5, 3), (0, 5, 3, 4), (3, 0, 4, 5)),
    "minor": ((0, 5, 2, 6), (0, 3, 5, 4), (0, 6, 5, 6)),
    "dorian": ((0, 3, 0, 6), (0, 3, 4, 3), (0, 2, 3, 6)),
    "pentatonic": ((0, 3, 5, 4), (0, 5, 0, 3), (0, 4, 3, 4)),
}
_TONES = {"pentatonic": (0, 1, 2, 4, 5)}
"""Degrees that the arpeggio may use where it is not the chord's own."""


def synthesise(music: Music, duration_s: float) -> NDArray[np.float32]:
    """Return a music bed of shape (samples, 2), its largest sample 0.8, fading in and out; `InvalidInput` below 1 s."""
    if duration_s < 1.0:
        raise InvalidInput(f"music of {duration_s:g} s: at least one second is needed")
    dice = random.Random(f"music:{music.seed}:{music.bpm}:{music.mode}")
    count = round(duration_s * RATE)
    beat = 60.0 / music.bpm
    bars = int(np.ceil(duration_s / (4 * beat))) + 1
    total = round((bars * 4 * beat + 3.0) * RATE)
    scale, key = _SCALES[music.mode], 45 + dice.randrange(0, 8)
    progression = dice.choice(_PROGRESSIONS[music.mode])
    parts = {name: np.zeros((total, 2), np.float32) for name in ("pad", "bass", "pluck", "drums")}
    pattern = [dice.randrange(0, 5) for _ in range(8)]
    rests = [dice.random() < 0.22 for _ in range(8)]
    swing = dice.uniform(0.0, 0.06) * beat
    for bar in range(bars):
        start = bar * 4 * beat
        degree = progression[bar % len(progression)]
        chord = [_note(key, scale, degree + step) for step in (0, 2, 4, 6 if bar % 4 == 3 else 7)]
        for place, note in enumerate(chord):
            _add(parts["pad"], start, _pad(note + 12, 4 * beat + 0.6), pan=(place - 1.5) * 0.35, gain=0.10)
        for at in (0.0, 1.5, 2.0, 3.5):
            _add(
                parts["bass"],
                start + at * beat,
                _bass(_note(key - 12, scale, degree), 0.9 * beat),
                pan=0.0,
                gain=0.34,
            )
        if bar >= 1:
            for step in range(8):
                if rests[step] and bar % 4 != 3:
                    continue
                tones = _TONES.get(music.mode)
                note = (
                    _note(key + 24, scale, tones[pattern[step] % len(tones)])
                    if tones
                    else chord[pattern[step] % 4] + 24 + 12 * (pattern[step] // 4)
                )
                late = swing if step % 2 else 0.0
                gain = 0.13 * (1.0 if step % 4 == 0 else 0.72)
                _add(
                    parts["pluck"],
                    start + step * beat / 2 + late,
                    _pluck(note, 0.9),
                    pan=(-0.45, 0.45)[step % 2],
                    gain=gain,
                )
        _drum_bar(parts["drums"], start, beat, bar, music.seed)
    dry = parts["pad"] + parts["pluck"]
    wet = _room(dry, dice.randrange(2**31))
    pump = _pump(total, beat)[:, None]
    mixed = (dry + 0.35 * wet[:total]) * pump + parts["bass"] * (0.35 + 0.65 * pump) + parts["drums"]
    bed = np.tanh(mixed[:count] * 1.2)
    _fade(bed, 0.04, 1.1)
    peak = float(np.abs(bed).max())
    level: NDArray[np.float32] = (bed * (0.8 / peak if peak else 0.0)).astype(np.float32)
    return level


def write(music: Music, duration_s: float, path: Path) -> None:
    """Write a music bed as WAV: 48 kHz, stereo, 16 bit."""
    samples = synthesise(music, duration_s)
    whole = np.clip(np.rint(samples * 32767), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(whole.tobytes())


def _note(key: int, scale: tuple[int, ...], degree: int) -> int:
    """Return the MIDI number of a degree of a scale; degrees go on above and below the octave."""
    octave, step = divmod(degree, len(scale))
    return key + 12 * octave + scale[step]


def _hertz(note: float) -> float:
    return float(440.0 * 2.0 ** ((note - 69) / 12))


def _times(length_s: float) -> NDArray[np.float32]:
    return np.arange(round(length_s * RATE), dtype=np.float32) / np.float32(RATE)


def _tone(hertz: float, t: NDArray[np.float32], partials: int, fall: float) -> NDArray[np.float32]:
    """Return a saw-like tone of a few partials, each weaker by the power `fall`; none above 14 kHz."""
    sound = np.zeros_like(t)
    for number in range(1, partials + 1):
        if hertz * number < 14_000:
            sound += np.sin(np.float32(2 * np.pi * hertz * number) * t) / np.float32(number**fall)
    return sound


def _pad(note: int, length_s: float) -> NDArray[np.float32]:
    t = _times(length_s)
    sound = sum((_tone(_hertz(note + cents / 100), t, 6, 1.6) for cents in (-7, 0, 6)), np.zeros_like(t))
    rise, fall = np.minimum(t / 0.35, 1), np.minimum((length_s - t) / 0.6, 1)
    shaped: NDArray[np.float32] = (sound * rise * np.maximum(fall, 0) / 3).astype(np.float32)
    return shaped


def _bass(note: int, length_s: float) -> NDArray[np.float32]:
    t = _times(length_s)
    sound = _tone(_hertz(note), t, 4, 1.8)
    shaped: NDArray[np.float32] = (
        sound * np.minimum(t / 0.008, 1) * np.exp(-t * 3.2) * np.minimum((length_s - t) / 0.03, 1)
    ).astype(np.float32)
    return shaped


def _pluck(note: int, length_s: float) -> NDArray[np.float32]:
    t = _times(length_s)
    bright = (
        _tone(_hertz(note), t, 5, 1.2) * np.exp(-t * 11)
        + _tone(_hertz(note), t, 2, 2.0) * np.exp(-t * 4.5) * 0.6
    )
    shaped: NDArray[np.float32] = (
        bright * np.minimum(t / 0.004, 1) * np.minimum((length_s - t) / 0.05, 1)
    ).astype(np.float32)
    return shaped


def _drum_bar(part: NDArray[np.float32], start: float, beat: float, bar: int, seed: int) -> None:
    kick, hat, clap = (
        _kick(),
        _noise(0.05, 90.0, seed + 1, high=True),
        _noise(0.16, 26.0, seed + 2, high=False),
    )
    for number in range(4):
        if bar > 0 or number >= 2:
            _add(part, start + number * beat, kick, pan=0.0, gain=0.55)
        _add(part, start + (number + 0.5) * beat, hat, pan=0.25, gain=0.10)
        if bar > 0 and number % 2 == 1:
            _add(part, start + number * beat, clap, pan=-0.1, gain=0.17)
    if bar > 1:
        _add(part, start + 3.75 * beat, hat, pan=-0.3, gain=0.07)


def _kick() -> NDArray[np.float32]:
    t = _times(0.28)
    phase = 2 * np.pi * (48 * t + (120 / 34) * (1 - np.exp(-34 * t)))
    shaped: NDArray[np.float32] = (np.sin(phase) * np.exp(-t * 13) * np.minimum(t / 0.002, 1)).astype(
        np.float32
    )
    return shaped


def _noise(length_s: float, fall: float, seed: int, *, high: bool) -> NDArray[np.float32]:
    t = _times(length_s)
    raw = np.random.default_rng(seed).standard_normal(t.size).astype(np.float32)
    sharp = np.diff(raw, prepend=np.float32(0)) if high else raw - 0.6 * np.roll(raw, 1)
    shaped: NDArray[np.float32] = (sharp * np.exp(-t * fall) * np.minimum(t / 0.001, 1) * 0.6).astype(
        np.float32
    )
    return shaped


def _add(
    part: NDArray[np.float32], start_s: float, sound: NDArray[np.float32], *, pan: float, gain: float
) -> None:
    first = round(start_s * RATE)
    last = min(first + sound.size, part.shape[0])
    angle = (pan + 1) * np.pi / 4
    part[first:last, 0] += sound[: last - first] * np.float32(gain * np.cos(angle) * 1.4142)
    part[first:last, 1] += sound[: last - first] * np.float32(gain * np.sin(angle) * 1.4142)


def _room(dry: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Return the dry sound in a small bright room: convolution with decaying noise."""
    t = _times(1.1)
    raw = np.random.default_rng(seed).standard_normal((t.size, 2))
    smooth = (raw + np.roll(raw, 1, 0) + np.roll(raw, 2, 0)) / 3
    tail = smooth * (np.exp(-t * 5.2) * np.minimum(t / 0.012, 1))[:, None]
    tail /= np.sqrt((tail**2).sum(axis=0, keepdims=True))
    size = 1 << (dry.shape[0] + tail.shape[0] - 1).bit_length()
    product = np.fft.rfft(dry, size, axis=0) * np.fft.rfft(tail, size, axis=0)
    shaped: NDArray[np.float32] = np.fft.irfft(product, size, axis=0)[: dry.shape[0]].astype(np.float32)
    return shaped


def _pump(count: int, beat: float) -> NDArray[np.float32]:
    """Return the gain that makes room for every kick."""
    t = np.arange(count, dtype=np.float64) / RATE
    since = np.mod(t, beat)
    shaped: NDArray[np.float32] = (1 - 0.45 * np.exp(-since * 9.0)).astype(np.float32)
    return shaped


def _fade(bed: NDArray[np.float32], in_s: float, out_s: float) -> None:
    first, last = round(in_s * RATE), round(min(out_s, bed.shape[0] / RATE / 2) * RATE)
    bed[:first] *= np.linspace(0, 1, first, dtype=np.float32)[:, None]
    bed[-last:] *= np.linspace(1, 0, last, dtype=np.float32)[:, None] ** 1.5
