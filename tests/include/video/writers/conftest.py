"""Briefs to write from: the bundled sample, and real snapshots where they are there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from include.video.analysis import analyse
from include.video.params import VideoParams
from include.video.scoring import score_all
from include.video.stages import SAMPLE
from include.video.trends.file import FileSource
from include.video.writers.writer import Brief

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.video.trends.trend import Trend


def brief_of(trends: list[Trend], **params: Any) -> Brief:
    scored = score_all(trends, ["trends"])
    return Brief(VideoParams(**params), scored, analyse(scored))


@pytest.fixture(scope="session")
def brief() -> Callable[..., Brief]:
    """Make a brief on the bundled sample, or on a file or on trends of one's own."""
    sample = FileSource(SAMPLE).fetch()

    def make(trends: list[Trend] | Path | None = None, **params: Any) -> Brief:
        if isinstance(trends, Path):
            trends = FileSource(trends).fetch()
        return brief_of(sample if trends is None else trends, **params)

    return make
