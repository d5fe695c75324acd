"""How long a sentence takes to say, without saying it: syllables of words and of figures read out."""

from __future__ import annotations

import re

SECONDS_PER_SYLLABLE = 0.212
SECONDS_PER_SENTENCE = 0.30
SECONDS_PER_PAUSE = 0.22
"""Fitted to espeak-ng at 168 words per minute; a voice may still adjust its pace."""

WORDS_PER_S = 2.6
"""What a listener follows with ease; the word budget of a video is its length times this."""

_VOWELS = re.compile(r"[aeiouy]+")
_ONES = (2, 1, 1, 1, 1, 1, 1, 2, 1, 1)  # ze-ro, one, two, ... sev-en
_TEENS = (1, 3, 1, 2, 2, 2, 2, 3, 2, 2)  # ten, e-lev-en, ... sev-en-teen
_TENS = (0, 0, 2, 2, 2, 2, 2, 3, 2, 2)  # twen-ty, ... sev-en-ty


def syllables(text: str) -> int:
    """Return about how many syllables a text has, figures read out.

    >>> syllables("Stop scrolling"), syllables("3.9 million views"), syllables("160 thousand")
    (3, 6, 8)
    """
    total = 0
    for token in re.findall(r"\d[\d,.]*|[A-Za-z']+|\w+", text):
        if token[0].isdigit():
            total += _figure(token.strip(",."))
        else:
            groups = len(_VOWELS.findall(token.lower()))
            silent = token.lower().endswith("e") and not token.lower().endswith("le") and groups > 1
            total += max(1, groups - silent)
    return total


def _figure(token: str) -> int:
    whole, _, fraction = token.replace(",", "").partition(".")
    count = _whole(int(whole)) if whole.isdecimal() else len(token)
    return count + (1 + sum(_ONES[int(digit)] for digit in fraction if digit.isdecimal()) if fraction else 0)


def _whole(number: int) -> int:
    if number < 10:
        return _ONES[number]
    if number < 20:
        return _TEENS[number - 10]
    if number < 100:
        return _TENS[number // 10] + (_ONES[number % 10] if number % 10 else 0)
    for size, spoken in ((10**9, 2), (10**6, 2), (1000, 2), (100, 3)):  # "hundred and"
        if number >= size:
            rest = number % size
            return _whole(number // size) + spoken + (_whole(rest) if rest else 0)
    return 0


def spoken_s(text: str) -> float:
    """Return about how many seconds a sentence takes at a normal pace."""
    pauses = len(re.findall(r"[,:;](?=\s)|\.(?=\s)", text))
    return round(
        SECONDS_PER_SENTENCE + SECONDS_PER_SYLLABLE * syllables(text) + SECONDS_PER_PAUSE * pauses, 3
    )
