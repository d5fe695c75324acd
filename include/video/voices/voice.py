"""What a voice is: something that utters one sentence and tells when each of its words starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from decimal import Decimal

    import numpy as np
    import numpy.typing as npt

SAMPLE_RATE = 48_000
"""Hz of every utterance and of the voiceover."""


@dataclass(frozen=True)
class Capabilities:
    """What a voice can do and what it costs."""

    word_times: bool
    slowest_wpm: int
    normal_wpm: int
    fastest_wpm: int
    usd_per_1000_characters: Decimal


@dataclass(frozen=True)
class WordStart:
    """A word of a sentence: its characters (from 0) and when it starts, in seconds from the start of the sound."""

    position: int
    length: int
    start_s: float


@dataclass(frozen=True)
class Utterance:
    """One spoken sentence: mono int16 at 48 kHz without silence around it, and its words in order."""

    samples: npt.NDArray[np.int16]
    words: tuple[WordStart, ...]

    @property
    def duration_s(self) -> float:
        """Length of the sound."""
        return len(self.samples) / SAMPLE_RATE


class Voice(Protocol):
    """A speech synthesiser; the same text at the same pace gives the same sound."""

    @property
    def name(self) -> str:
        """The provider, as it is recorded and shown."""
        ...

    @property
    def voice(self) -> str:
        """The accent or speaker."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do and what it costs."""
        ...

    def version(self) -> str:
        """Return what identifies the synthesiser; it is part of what decides the sound."""
        ...

    def utter(self, text: str, words_per_minute: int) -> Utterance:
        """Speak one sentence.

        Raises
        ------
        ProviderUnavailable
            The synthesiser broke; the same call may succeed later.
        ConfigurationError
            It is not installed, or lacks the voice.
        """
        ...
