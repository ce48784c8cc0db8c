"""Takes out of what the microphone hears what the loudspeaker plays: one port, and the cancellers that stand behind it.

    played, captured ── process ── cleaned        10 ms of 16 kHz at a time; `played` is what sounded beside `captured`

| name  | is                                             | comes with                  | for 10 ms | memory |
|-------|------------------------------------------------|-----------------------------|-----------|--------|
| aec3  | WebRTC's AudioProcessingModule                 | `pip install 'livekit>=1.2'`| 60 us     | 8.5 MB |
| speex | libspeexdsp's echo canceller and preprocessor  | `apt install libspeexdsp1`  | 40 us     | 0.3 MB |
| none  | nothing: what was captured                     |                             | 1 us      |        |

Rules
* A block of another size or type is refused here: livekit's library ends the process over it.
* They do nothing with what they are not given: silence must be fed as silence.
* The libraries are called with the interpreter's lock held (PyDLL). They calculate for microseconds and call nobody
  back, but beside a busy Python thread each return from a call without the lock would wait a switch interval for it.
* aec3's library starts threads of its own when it is loaded (one for each core, and two), which sleep for ever. They
  inherit the scheduling of who loads it: do so before asking for real time.

Why not `livekit.rtc.AudioProcessingModule`: importing `livekit.rtc` brings the client of a whole service, asyncio and
protobuf with it, 18.5 MB of memory instead of 8.5, and its calls let go of the lock eight times in each block. What it
does with them is one C function (`livekit_ffi.h`), which takes a protobuf message; so does this, in the handful of
messages that are needed. Their numbers are not written here but read from the descriptors in the wheel: they belong
to the library beside them, and the next version may number otherwise.

Sources: livekit/rtc/apm.py and _ffi_client.py of livekit 1.2; protobuf.dev, "Encoding"; speex_echo.h and
speex_preprocess.h of speexdsp 1.2.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgevoice.errors import ConfigError

Samples = NDArray[np.int16]
Fields = dict[int, int | bytes]

RATE = 16_000  # Hz
BLOCK = 160  # 10 ms: all that AEC3 takes
WARM_UP = (
    10  # blocks of silence when it is loaded: what cannot calculate shows it there, and the first block is no slower
)
TAIL = RATE * 300 // 1000  # of speex: with 200 ms it cannot reach an echo that is 120 ms late and rings for 150
SPEEX_SET_RATE = 24  # SPEEX_ECHO_SET_SAMPLING_RATE
SPEEX_SET_NOISE_SUPPRESS = 8  # SPEEX_PREPROCESS_SET_NOISE_SUPPRESS, dB
SPEEX_SET_ECHO_STATE = 24  # SPEEX_PREPROCESS_SET_ECHO_STATE
MESSAGE, NAME, FIELD, NUMBER = 4, 1, 2, 3  # of descriptor.proto: message_type; name; field; number


class Canceller(Protocol):
    """Whoever takes the loudspeaker out of the microphone. One thread at a time."""

    @property
    def name(self) -> str:
        """Which one it is: "aec3", "speex" or "none"."""

    def process(self, played: Samples, captured: Samples) -> Samples:
        """Return `captured` without the echo of `played`, each (160,). Raises ValueError for any other block."""


def load(choice: str, *, noise_suppression: bool) -> tuple[Canceller, str]:
    """Return the canceller of that name, or for "auto" the first that loads, and which it is in words for the owner.

    Raises ConfigError when one is asked for by name and does not load.
    """
    missing: list[str] = []
    for name in _MAKERS if choice == "auto" else [choice]:
        try:
            return _warm(_MAKERS[name](noise_suppression)), "; ".join([name, *missing])
        except (ImportError, OSError, RuntimeError) as error:
            missing.append(f"{name} does not load: {error}: {_REMEDIES[name]}")
    raise ConfigError([f'echo.canceller = "{choice}": {missing[0]}, or take "auto"'])


class Aec3:
    """WebRTC's AEC3 and high-pass, with noise suppression or without; no gain control, which would move the levels."""

    name = "aec3"

    def __init__(self, noise_suppression: bool) -> None:
        library = _Livekit()
        settings = {
            "echo_canceller_enabled": 1,
            "gain_controller_enabled": 0,
            "high_pass_filter_enabled": 1,
            "noise_suppression_enabled": int(noise_suppression),
        }
        handle = library.handle(library.answer(library.request("new_apm", "NewApmRequest", settings)))
        weakref.finalize(self, library.drop, handle).atexit = False
        self._answer = library.answer
        self._played, self._captured = np.zeros(BLOCK, np.int16), np.zeros(BLOCK, np.int16)
        self._steps = tuple(
            (library.request(name, message, _block(handle, samples)), library.done(name))
            for name, message, samples in (
                ("apm_process_reverse_stream", "ApmProcessReverseStreamRequest", self._played),
                ("apm_process_stream", "ApmProcessStreamRequest", self._captured),
            )
        )

    def process(self, played: Samples, captured: Samples) -> Samples:
        """Return `captured` without the echo of `played`, each (160,)."""
        _check(played, captured)
        self._played[:] = played
        self._captured[:] = captured
        for request, done in self._steps:
            answer = self._answer(request)
            if answer != done:
                raise RuntimeError(f"livekit refuses a block: {answer!r}")
        return self._captured.copy()


class Speex:
    """libspeexdsp's echo canceller, and its preprocessor for what is left of the echo and, if wanted, for noise."""

    name = "speex"

    def __init__(self, noise_suppression: bool) -> None:
        library = ctypes.PyDLL("libspeexdsp.so.1")
        library.speex_echo_state_init.restype = library.speex_preprocess_state_init.restype = ctypes.c_void_p
        echo = ctypes.c_void_p(library.speex_echo_state_init(BLOCK, TAIL))
        preprocess = ctypes.c_void_p(library.speex_preprocess_state_init(BLOCK, RATE))
        weakref.finalize(self, library.speex_echo_state_destroy, echo).atexit = False
        weakref.finalize(self, library.speex_preprocess_state_destroy, preprocess).atexit = False
        library.speex_echo_ctl(echo, SPEEX_SET_RATE, ctypes.byref(ctypes.c_int(RATE)))
        library.speex_preprocess_ctl(preprocess, SPEEX_SET_ECHO_STATE, echo)
        if not noise_suppression:  # by 0 dB: without "denoise" it would let what is left of the echo pass, too
            library.speex_preprocess_ctl(preprocess, SPEEX_SET_NOISE_SUPPRESS, ctypes.byref(ctypes.c_int(0)))
        self._played, self._captured, self._cleaned = (np.zeros(BLOCK, np.int16) for _ in range(3))
        played, captured, cleaned = (
            ctypes.c_void_p(samples.ctypes.data) for samples in (self._played, self._captured, self._cleaned)
        )
        self._cancel, self._cancelled = library.speex_echo_cancellation, (echo, captured, played, cleaned)
        self._preprocess, self._preprocessed = library.speex_preprocess_run, (preprocess, cleaned)

    def process(self, played: Samples, captured: Samples) -> Samples:
        """Return `captured` without the echo of `played`, each (160,)."""
        _check(played, captured)
        self._played[:] = played
        self._captured[:] = captured
        self._cancel(*self._cancelled)
        self._preprocess(*self._preprocessed)
        return self._cleaned.copy()


class Through:
    """Lets everything pass, the echo too."""

    name = "none"

    def __init__(self, noise_suppression: bool) -> None:
        pass

    def process(self, played: Samples, captured: Samples) -> Samples:
        """Return `captured`."""
        _check(played, captured)
        return captured


_MAKERS = {"aec3": Aec3, "speex": Speex, "none": Through}
_REMEDIES = {"aec3": "pip install 'livekit>=1.2'", "speex": "apt install libspeexdsp1"}


def _warm(canceller: Canceller) -> Canceller:
    silence = np.zeros(BLOCK, np.int16)
    for _ in range(WARM_UP):
        canceller.process(silence, silence)
    return canceller


def _check(played: Samples, captured: Samples) -> None:
    for name, block in (("played", played), ("captured", captured)):
        if block.shape != (BLOCK,) or block.dtype != np.int16:
            raise ValueError(f"what was {name} is {block.dtype} {block.shape}, expected int16 ({BLOCK},)")


# --------------------------------------------------------------------------------------------- livekit's library


class _Livekit:
    """The wheel's library: it takes a request and gives a response, both protobuf messages."""

    def __init__(self) -> None:
        spec = find_spec("livekit.rtc")
        if spec is None or not spec.submodule_search_locations:
            raise ImportError("livekit has no livekit.rtc")
        folder = spec.submodule_search_locations[0]
        self._numbers: dict[str, dict[str, int]] = {}
        for descriptor in ("ffi_pb2", "audio_frame_pb2", "handle_pb2"):
            self._numbers |= _numbers(f"{folder}/_proto/{descriptor}.py")
        library = ctypes.PyDLL(f"{folder}/resources/liblivekit_ffi.so")
        self._request, self.drop = library.livekit_ffi_request, library.livekit_ffi_drop_handle
        self._request.restype, self.drop.restype = ctypes.c_uint64, ctypes.c_bool
        self._request.argtypes = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p
        self.drop.argtypes = (ctypes.c_uint64,)
        self._answer, self._length = ctypes.c_void_p(), ctypes.c_size_t()
        self._into = ctypes.addressof(self._answer), ctypes.addressof(self._length)

    def request(self, name: str, message: str, values: dict[str, int]) -> bytes:
        """Return the request of that name, a `message` of these values."""
        fields = b"".join(_field(self._number(message, field), value) for field, value in values.items())
        return _field(self._number("FfiRequest", name), fields)

    def answer(self, request: bytes) -> bytes:
        """Have the library do it; return its response."""
        handle = self._request(request, len(request), *self._into)
        if not handle or self._answer.value is None:
            raise RuntimeError("livekit does not understand a request")
        answer = ctypes.string_at(self._answer.value, self._length.value)
        self.drop(handle)  # or each response would be kept for ever
        return answer

    def done(self, name: str) -> bytes:
        """Return the response to the request of that name when there is nothing to say."""
        return _field(self._number("FfiResponse", name), b"")

    def handle(self, answer: bytes) -> int:
        """Return the handle of the module that was made."""
        value: int | bytes = answer
        for message, field in (
            ("FfiResponse", "new_apm"),
            ("NewApmResponse", "apm"),
            ("OwnedApm", "handle"),
            ("FfiOwnedHandle", "id"),
        ):
            value = dict(_fields(_bytes(value)))[self._number(message, field)]
        return int(value)

    def _number(self, message: str, field: str) -> int:
        number = self._numbers.get(message, {}).get(field)
        if number is None:
            raise ImportError(f"this livekit has no {message}.{field}")
        return number


def _block(handle: int, samples: Samples) -> dict[str, int]:
    return {
        "apm_handle": handle,
        "data_ptr": samples.ctypes.data,
        "size": samples.nbytes,
        "sample_rate": RATE,
        "num_channels": 1,
    }


# ----------------------------------------------------------------------------------------------------- protobuf


def _numbers(path: str) -> dict[str, dict[str, int]]:
    """Return the number of each field of each message, from a module that protobuf's compiler wrote."""
    code = SourceFileLoader("descriptor", path).get_code("descriptor")
    assert code is not None
    descriptor = max((constant for constant in code.co_consts if isinstance(constant, bytes)), key=len)
    found = {}
    for kind, message in _fields(descriptor):
        if kind == MESSAGE:
            parts = list(_fields(_bytes(message)))
            fields = [dict(_fields(_bytes(part))) for number, part in parts if number == FIELD]
            name = _bytes(dict(reversed(parts))[NAME]).decode()
            found[name] = {_bytes(field[NAME]).decode(): int(field[NUMBER]) for field in fields}
    return found


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Take a message apart: the number and value of each field."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key & 7 == 2:
            yield key >> 3, message[at : at + value]
            at += value
        elif key & 7 == 0:
            yield key >> 3, value
        else:
            raise ImportError(f"protobuf wire type is {key & 7}, expected 0 or 2")


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _as_varint(number << 3) + _as_varint(value)
    return _as_varint(number << 3 | 2) + _as_varint(len(value)) + value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins there, and where the next thing begins."""
    value = shift = 0
    while message[at] & 0x80:
        value |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
    return value | message[at] << shift, at + 1


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ImportError("a protobuf message is a number where a message was expected")
    return value
