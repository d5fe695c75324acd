"""Run ffmpeg safely; probe a media file; decode one to the end.

ffmpeg is a program, never a library: its arguments are a list, it reads no terminal, opens nothing but files and
pipes, sees no environment of ours, dies with the process that started it, and has a time limit. The binary is the
one of the `imageio-ffmpeg` wheel; `build_digest` names it in recipes, because another build makes other bytes.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from include.artifacts.children import dying_with_us
from include.artifacts.digests import sha256_file
from include.errors import ConfigurationError, InvalidInput, ProviderUnavailable, QualityGateFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Chunk = bytes | bytearray | memoryview

_DEMUXERS = {".mp4": "mov", ".m4a": "mov", ".wav": "wav"}
_MAX_ALLOC_BYTES = 256 * 1024 * 1024
"""Largest single allocation ffmpeg may make for a file: a forged header cannot ask for gigabytes."""


@dataclass(frozen=True)
class Finished:
    """What a run of ffmpeg said: its standard output (bytes) and its log (text)."""

    stdout: bytes
    log: str


@dataclass(frozen=True)
class Probe:
    """What a media file is. Times in seconds, sizes in pixels, `colour` as (range, matrix, primaries, transfer)."""

    duration_s: float
    video_codec: str | None
    width: int
    height: int
    fps: float
    pixel_format: str
    colour: tuple[str, str, str, str]
    audio_codec: str | None
    audio_rate: int
    audio_channels: int


def ffmpeg() -> str:
    """Return the path of the ffmpeg binary; `ConfigurationError` when there is none."""
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise ConfigurationError(f"no ffmpeg: install the wheel imageio-ffmpeg ({error})") from error


def build_digest() -> str:
    """Return the sha256 of the ffmpeg binary, read once per process and file version."""
    path = Path(ffmpeg())
    facts = path.stat()
    return _digest_of(str(path), facts.st_size, facts.st_mtime_ns)


@cache
def _digest_of(path: str, size_bytes: int, changed_ns: int) -> str:
    return sha256_file(Path(path))


def run(
    arguments: Sequence[str | Path],
    *,
    feeds: Sequence[Iterable[Chunk]] = (),
    folder: Path | None = None,
    timeout_s: float = 900.0,
    environment: dict[str, str] | None = None,
) -> Finished:
    """Run ffmpeg with these arguments and return what it said.

    Parameters
    ----------
    arguments
        After the binary's name. `feed:0`, `feed:1`, … as an input's address stand for the feeds, in order.
    feeds
        Chunks of bytes, each feed written to a pipe of its own by a thread of its own: ffmpeg may ask for them in
        any order.
    folder
        Working directory, so that filter arguments can name files without a path to escape.
    timeout_s
        Wall clock; the whole process group is killed when it is over.
    environment
        Added to the empty environment.

    Raises
    ------
    InvalidInput
        ffmpeg refused or failed; the message ends with its log.
    ProviderUnavailable
        The time was over, or something killed it: the same run may succeed later.
    """
    pipes = [os.pipe() for _ in feeds]
    addresses = {f"feed:{place}": f"pipe:{reading}" for place, (reading, _) in enumerate(pipes)}
    command = [
        *dying_with_us(),
        ffmpeg(),
        "-hide_banner",
        "-nostdin",
        "-y",
        *(addresses.get(str(argument), str(argument)) for argument in arguments),
    ]
    troubles: list[BaseException] = []
    with tempfile.TemporaryFile() as log_file:
        process = _start(command, pipes, folder, environment or {}, log_file)
        stdout, late = _attend(process, feeds, [writing for _, writing in pipes], timeout_s, troubles)
        log_file.seek(0)
        log = log_file.read().decode(errors="replace")
    if troubles:
        raise troubles[0]
    if late:
        raise ProviderUnavailable(f"ffmpeg took longer than {timeout_s:g} s; {_tail(log)}")
    if process.returncode < 0:
        raise ProviderUnavailable(f"ffmpeg was killed by signal {-process.returncode}; {_tail(log)}")
    if process.returncode != 0:
        raise InvalidInput(f"ffmpeg failed with status {process.returncode}; {_tail(log)}")
    return Finished(stdout, log)


def _start(
    command: list[str],
    pipes: list[tuple[int, int]],
    folder: Path | None,
    environment: dict[str, str],
    log_file: IO[bytes],
) -> subprocess.Popen[bytes]:
    """Start the process; it alone keeps the reading ends, so that its death closes them."""
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log_file,
            cwd=folder,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", **environment},
            pass_fds=[reading for reading, _ in pipes],
            start_new_session=True,
        )
    except BaseException:
        for _, writing in pipes:
            os.close(writing)
        raise
    finally:
        for reading, _ in pipes:
            os.close(reading)


def _attend(
    process: subprocess.Popen[bytes],
    feeds: Sequence[Iterable[Chunk]],
    ends: Sequence[int],
    timeout_s: float,
    troubles: list[BaseException],
) -> tuple[bytes, bool]:
    """Feed a process until it ends; return its standard output and whether it had to be killed for being late."""
    kill = _killer(process)
    writers = [
        threading.Thread(target=_write, args=(feed, end, troubles, kill), daemon=True)
        for feed, end in zip(feeds, ends, strict=True)
    ]
    try:
        for writer in writers:
            writer.start()
        try:
            return process.communicate(timeout=timeout_s)[0], False
        except subprocess.TimeoutExpired:
            kill()
            return process.communicate()[0], True
    finally:
        kill()
        process.wait()
        for writer in writers:
            writer.join()


def _killer(process: subprocess.Popen[bytes]) -> Callable[[], None]:
    def kill() -> None:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    return kill


def _write(
    feed: Iterable[Chunk], descriptor: int, troubles: list[BaseException], kill: Callable[[], None]
) -> None:
    try:
        with open(descriptor, "wb", buffering=0) as pipe:
            for chunk in feed:
                rest = memoryview(chunk).cast("B")
                while rest:
                    rest = rest[pipe.write(rest) :]
    except BrokenPipeError:
        return  # ffmpeg has what it wants, or has failed: its status says which
    except BaseException as error:
        troubles.append(error)
        kill()


def _tail(log: str) -> str:
    return "its log ends: " + log.strip()[-1500:]


def reading(path: Path) -> list[str]:
    """Return the arguments that open an untrusted file as an input: forced demuxer, local files only, bounded memory."""
    demuxer = _DEMUXERS.get(path.suffix)
    if demuxer is None:
        raise InvalidInput(
            f"{path.name}: not a kind of media file that is read here; known: {', '.join(_DEMUXERS)}"
        )
    return [
        *("-max_alloc", str(_MAX_ALLOC_BYTES)),
        *("-protocol_whitelist", "file,pipe"),
        *("-f", demuxer),
        *("-i", str(path.absolute())),
    ]


def decode_check(path: Path) -> None:
    """Decode a media file from its first to its last frame; `QualityGateFailed` at the first thing that is wrong."""
    try:
        finished = run(
            [
                "-v",
                "error",
                "-xerror",
                "-err_detect",
                "explode",
                *reading(path),
                "-map",
                "0",
                "-f",
                "null",
                "-",
            ]
        )
    except InvalidInput as error:
        raise QualityGateFailed(f"{path.name} does not decode: {error}") from error
    if finished.log.strip():
        raise QualityGateFailed(f"{path.name} decodes with errors; {_tail(finished.log)}")


_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_VIDEO = re.compile(
    r"Stream #\S+ Video: (?P<codec>\w+)[^\n]*?, (?P<pixels>[a-z]+\d[a-z0-9]*)(?:\((?P<colour>[^)]*)\))?,"
    r" (?P<width>\d+)x(?P<height>\d+)[^\n]*?(?P<fps>[\d.]+) fps"
)
_AUDIO = re.compile(r"Stream #\S+ Audio: (?P<codec>\w+)[^\n]*?, (?P<rate>\d+) Hz, (?P<layout>[^,\n]+)")
_CHANNELS = {"mono": 1, "stereo": 2}


def probe(path: Path) -> Probe:
    """Return what a media file is; `InvalidInput` when it cannot be read. Nothing is decoded."""
    log = run([*reading(path), "-map", "0", "-c", "copy", "-f", "null", "-"]).log
    head = log.split("Output #0")[0]
    duration = _DURATION.search(head)
    if duration is None:
        raise InvalidInput(f"{path.name} has no duration; {_tail(log)}")
    hours, minutes, seconds = duration.groups()
    video, audio = _VIDEO.search(head), _AUDIO.search(head)
    return Probe(
        duration_s=int(hours) * 3600 + int(minutes) * 60 + float(seconds),
        video_codec=video["codec"] if video else None,
        width=int(video["width"]) if video else 0,
        height=int(video["height"]) if video else 0,
        fps=float(video["fps"]) if video else 0.0,
        pixel_format=video["pixels"] if video else "",
        colour=_colour(video["colour"] if video else None),
        audio_codec=audio["codec"] if audio else None,
        audio_rate=int(audio["rate"]) if audio else 0,
        audio_channels=_CHANNELS.get(audio["layout"].strip(), 0) if audio else 0,
    )


def _colour(said: str | None) -> tuple[str, str, str, str]:
    """Read ffmpeg's `tv, bt709, progressive`: one name when matrix, primaries and transfer agree, else `a/b/c`."""
    parts = [part.strip() for part in (said or "").split(",")]
    levels = next((part for part in parts if part in ("tv", "pc")), "unknown")
    names = next((part for part in parts if part not in ("tv", "pc", "progressive", "")), "unknown")
    matrix, primaries, transfer = (names.split("/") * 3)[:3]
    return levels, matrix, primaries, transfer
