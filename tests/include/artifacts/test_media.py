"""ffmpeg is run as a program that cannot outlive, out-read or out-last us; broken files are told from whole ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.artifacts import media
from include.errors import InvalidInput, ProviderUnavailable, QualityGateFailed

ENDLESS = ["-v", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=64x64:rate=5", "-f", "null", "-"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of picture and sound."""
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    media.run(
        [
            *("-v", "error", "-f", "lavfi", "-i", "testsrc2=size=192x320:rate=25"),
            *("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "2"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-threads", "1"),
            *("-c:a", "aac", "-ac", "2", path),
        ]
    )
    return path


def test_probe_says_what_the_file_is(clip: Path) -> None:
    found = media.probe(clip)
    assert (found.video_codec, found.width, found.height, found.fps) == ("h264", 192, 320, 25.0)
    assert (found.audio_codec, found.audio_rate, found.audio_channels) == ("aac", 48000, 2)
    assert found.pixel_format == "yuv420p"
    assert found.colour == ("unknown",) * 4
    assert found.duration_s == pytest.approx(2.0, abs=0.05)


def test_a_whole_file_decodes(clip: Path) -> None:
    media.decode_check(clip)


def test_a_flipped_bit_in_the_picture_is_found(clip: Path, tmp_path: Path) -> None:
    data = bytearray(clip.read_bytes())
    start = data.index(b"mdat") + 400
    for place in range(start, start + 4000, 97):
        data[place] ^= 0x40
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    with pytest.raises(QualityGateFailed, match=r"broken\.mp4"):
        media.decode_check(broken)


def test_a_truncated_file_is_found(clip: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(QualityGateFailed, match=r"cut\.mp4"):
        media.decode_check(cut)


@pytest.mark.parametrize(
    "text",
    ["#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n", "ffconcat version 1.0\nfile '/etc/passwd'\n", ""],
)
def test_a_playlist_with_the_name_of_a_video_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "playlist.mp4"
    path.write_text(text)
    with pytest.raises(InvalidInput):
        media.probe(path)


def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"notes\.txt"):
        media.probe(tmp_path / "notes.txt")


def test_a_failure_carries_the_log() -> None:
    with pytest.raises(InvalidInput, match="no_such_filter"):
        media.run(["-v", "error", "-f", "lavfi", "-i", "no_such_filter", "-f", "null", "-"])


def test_a_run_that_takes_too_long_is_killed() -> None:
    with pytest.raises(ProviderUnavailable, match=r"longer than 0\.4 s"):
        media.run(ENDLESS, timeout_s=0.4)


def test_a_feed_that_fails_ends_the_run_with_its_own_error() -> None:
    def broken() -> object:
        yield bytes(64 * 64 * 3)
        msg = "the picture could not be drawn"
        raise ZeroDivisionError(msg)

    raw = ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", "64x64", "-i", "feed:0"]
    with pytest.raises(ZeroDivisionError, match="could not be drawn"):
        media.run(["-v", "error", *raw, "-f", "null", "-"], feeds=[broken()])  # type: ignore[list-item]


def test_several_feeds_are_read_in_whatever_order_ffmpeg_likes() -> None:
    size, frames = 128 * 128 * 3, 60
    raw = ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", "128x128"]
    said = media.run(
        [
            *("-v", "error", *raw, "-i", "feed:0", *raw, "-i", "feed:1"),
            *("-filter_complex", "[1:v][0:v]concat=n=2[out]", "-map", "[out]", "-f", "framecrc", "-"),
        ],
        feeds=[[bytes(size)] * frames, [b"\xff" * size] * frames],
    ).stdout.decode()
    assert len([line for line in said.splitlines() if not line.startswith("#")]) == 2 * frames


def test_nothing_of_our_environment_reaches_ffmpeg(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "report.log"
    monkeypatch.setenv("FFREPORT", f"file={report}:level=32")
    media.probe(clip)
    assert not report.exists()
    media.run(["-version"], environment={"FFREPORT": f"file={report}:level=32"})
    assert report.exists()  # the same variable does work when it is given


def test_the_build_digest_is_that_of_the_binary() -> None:
    from include.artifacts.digests import sha256_file

    assert media.build_digest() == sha256_file(Path(media.ffmpeg()))
