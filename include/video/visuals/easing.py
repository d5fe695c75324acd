"""Easing: how a movement spends its time. Each takes and gives 0 to 1 (`spring` overshoots a little on the way)."""

from __future__ import annotations


def clamp(share: float) -> float:
    """Keep a share between 0 and 1."""
    return min(1.0, max(0.0, share))


def progress(frame: float, first: float, frames: float) -> float:
    """Return how much of a movement that starts at `first` and takes `frames` is over.

    >>> progress(15, 10, 10)
    0.5
    """
    return clamp((frame - first) / frames) if frames > 0 else float(frame >= first)


def out_cubic(share: float) -> float:
    """Start fast, arrive softly."""
    return 1.0 - (1.0 - clamp(share)) ** 3


def out_expo(share: float) -> float:
    """Start very fast, arrive very softly.

    >>> out_expo(1.0)
    1.0
    """
    share = clamp(share)
    return 1.0 if share >= 1.0 else 1.0 - 2.0 ** (-10.0 * share)


def in_out(share: float) -> float:
    """Start and arrive softly.

    >>> in_out(0.5)
    0.5
    """
    share = clamp(share)
    return share * share * (3.0 - 2.0 * share)


def spring(share: float) -> float:
    """Overshoot by about a twentieth, then settle.

    >>> spring(0.0), spring(1.0)
    (0.0, 1.0)
    """
    share = clamp(share)
    if share in (0.0, 1.0):
        return share
    pull = 1.2
    back = share - 1.0
    return 1.0 + (pull + 1.0) * back**3 + pull * back**2
