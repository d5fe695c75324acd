"""The only module that loads espeak-ng (GPL-3): a program of its own, run as a child process.

JSON on standard input:  {"language": "en-us", "text": "...", "words_per_minute": 165, "path": "a.wav"}
JSON on standard output: {"version": ..., "frames": n, "rate": 22050, "events": [[char, length, frame], ...]}

The sentence becomes a mono 16-bit WAV; an event says that the word of `length` characters at `char` (from 0) starts at
`frame`. One sentence per process, so that what was said before cannot colour it. It imports nothing of the project, so
that nothing of the project is linked with the library.
Source of the interface: espeak-ng/speak_lib.h, version 1.52.
"""

import ctypes
import json
import os
import sys
import wave
from typing import Any

SYNCHRONOUS = 2
CHARS_UTF8 = 1
POS_CHARACTER = 1
PARAMETER_RATE = 1
EVENT_LIST_TERMINATED = 0
EVENT_WORD = 1
INITIALIZE_DONT_EXIT = 0x8000


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Failure(Exception):
    """What the parent is told on standard error."""


class Library:
    """The loaded library, speaking one language."""

    def __init__(self, language: str) -> None:
        import espeakng_loader

        self.lib = ctypes.CDLL(espeakng_loader.get_library_path())
        self.lib.espeak_Info.restype = ctypes.c_char_p
        # the path is that of the folder that holds espeak-ng-data
        data = os.path.dirname(espeakng_loader.get_data_path())  # noqa: PTH120 - no project code, no pathlib needed
        self.rate = self.lib.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), INITIALIZE_DONT_EXIT)
        if self.rate <= 0:
            raise Failure(f"espeak-ng does not start with its data in {data}")
        if self.lib.espeak_SetVoiceByName(language.encode()) != 0:
            raise Failure(f"espeak-ng has no voice {language!r}")
        self.version = self.lib.espeak_Info(None).decode()
        self.pcm = bytearray()
        self.events: list[list[int]] = []
        self.callback = _CALLBACK(self._hear)
        self.lib.espeak_SetSynthCallback(self.callback)

    def _hear(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self.pcm += ctypes.string_at(samples, count * 2)
        place = 0
        while events[place].type != EVENT_LIST_TERMINATED:
            if events[place].type == EVENT_WORD:
                event = events[place]
                # text_position counts from 1; `sample` is the frame from the start of this utterance
                self.events.append([event.text_position - 1, event.length, event.sample])
            place += 1
        return 0

    def say(self, text: str, words_per_minute: int, path: str) -> dict[str, Any]:
        """Speak one sentence into a WAV file."""
        self.pcm, self.events = bytearray(), []
        self.lib.espeak_SetParameter(PARAMETER_RATE, words_per_minute, 0)
        encoded = text.encode() + b"\0"
        status = self.lib.espeak_Synth(
            encoded, len(encoded), 0, POS_CHARACTER, 0, CHARS_UTF8, None, ctypes.c_void_p(None)
        )
        if status != 0 or self.lib.espeak_Synchronize() != 0:
            raise Failure(f"espeak-ng cannot speak {text!r}")
        with wave.open(path, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate)
            file.writeframes(bytes(self.pcm))
        return {"frames": len(self.pcm) // 2, "rate": self.rate, "events": self.events}


def main() -> int:
    """Read the request, speak it, answer."""
    request = json.load(sys.stdin)
    try:
        library = Library(request["language"])
        spoken = library.say(request["text"], request["words_per_minute"], request["path"])
    except (Failure, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json.dump({"version": library.version, **spoken}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
