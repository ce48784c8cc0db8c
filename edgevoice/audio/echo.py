"""Takes out of what the microphone hears what the loudspeaker plays: one port, and the cancellers that stand behind it.

    played, captured ── process ── cleaned        10 ms of 16 kHz at a time; `played` is what sounded beside `captured`

| name  | is                                     | comes with                   | memory | delay of the voice   |
|-------|----------------------------------------|------------------------------|--------|----------------------|
| aec3  | WebRTC's AudioProcessingModule         | `pip install 'livekit>=1.2'` | 9 MB   | 14 ms (8 without NS) |
| speex | libspeexdsp's canceller, preprocessor  | `apt install libspeexdsp1`   | 0.5 MB | 10 ms                |
| none  | nothing: what was captured             |                              |        | none                 |

Rules
* A block of another size or type is refused here: livekit's library ends the whole process over one.
* `played` must keep its place beside `captured`. A step of 0.1 ms costs aec3 nothing, one of 1 ms half a second without
  cancellation; speex feels 0.05 ms. Silence is fed as silence: minutes of it unlearn nothing. Make one and keep it.
* What is played first must be broadband: a second of faint noise. aec3 takes what a few pure notes teach it for the
  whole room, and lets the first words after them pass; a new one without any sound mutes the person for half a second
  (`benchmarks/echo.py`). Until it has heard some eight seconds, 60 ms of each new beginning may pass.
* The libraries are called with the interpreter's lock held (PyDLL). They compute for microseconds and call nobody back;
  beside a busy Python thread, each return from a call without the lock would wait for it a switch interval.
* aec3's library starts threads when it is loaded (one for each core, and two), which wait for connections that never
  come. They inherit the scheduling of who loads it: do that before asking for real time.
* Nothing is printed, but by speexdsp: one line to stderr when its filter has run away and starts over.

Why not `livekit.rtc.AudioProcessingModule` itself: in this program `import livekit.rtc` costs 14 MB of memory instead
of 9, for protobuf and the client of a service, and it lets go of the lock in each of its calls: beside a busy thread a
block takes up to 20 ms instead of 0.3. What it does is one C function (`livekit_ffi.h`) that takes a protobuf message.
So does this, with the few messages that are needed. Their numbers are read from the descriptors in the wheel, which
belong to the library beside them: another version may number otherwise.

Sources: livekit/rtc/apm.py and _ffi_client.py of livekit 1.2; protobuf.dev, "Encoding", and descriptor.proto;
speex_echo.h and speex_preprocess.h of speexdsp 1.2.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgevoice.errors import ConfigError

Samples = NDArray[np.int16]

RATE = 16_000  # Hz
BLOCK = 160  # 10 ms: AEC3 takes nothing else
WARM_UP = (
    10  # blocks of silence when it is loaded: what cannot compute shows it there, and the first block is no slower
)
TAIL = RATE * 300 // 1000  # of speex: 200 ms do not reach an echo that comes 120 ms late and rings for 150
AEC3_LATE, SUPPRESSED_LATE = 128, 96  # samples by which a voice is later: in the canceller; and in noise suppression
SPEEX_SET_RATE = 24  # SPEEX_ECHO_SET_SAMPLING_RATE
SPEEX_SET_ECHO_STATE, SPEEX_SET_NOISE_SUPPRESS = 24, 18  # SPEEX_PREPROCESS_...; dB
MESSAGE, NAME, FIELD, NUMBER = 4, 1, 2, 3  # of descriptor.proto: message_type; then name, field; then name, number


class Canceller(Protocol):
    """Takes the loudspeaker out of the microphone. One thread at a time."""

    @property
    def name(self) -> str:
        """Which one it is: "aec3", "speex" or "none"."""

    @property
    def late(self) -> int:
        """How many samples later than in `captured` a voice is in what comes back."""

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
            missing.append(f"{name} does not load: {error} ({_REMEDIES[name]})")
    raise ConfigError([f'echo.canceller = "{choice}": {missing[0]}, or choose "auto"'])


class Aec3:
    """WebRTC's AEC3 and high-pass, with noise suppression or without; no gain control, which would move the levels."""

    name = "aec3"

    def __init__(self, noise_suppression: bool) -> None:
        self.late = AEC3_LATE + SUPPRESSED_LATE * noise_suppression
        library = _Livekit()
        handle = library.new_apm(
            echo_canceller_enabled=1,
            gain_controller_enabled=0,
            high_pass_filter_enabled=1,
            noise_suppression_enabled=int(noise_suppression),
        )
        weakref.finalize(self, library.drop, handle).atexit = False
        self._answer = library.answer
        self._played, self._captured = np.zeros(BLOCK, np.int16), np.zeros(BLOCK, np.int16)
        self._steps = (
            library.step("apm_process_reverse_stream", "ApmProcessReverseStreamRequest", handle, self._played),
            library.step("apm_process_stream", "ApmProcessStreamRequest", handle, self._captured),
        )

    def process(self, played: Samples, captured: Samples) -> Samples:
        """Return `captured` without the echo of `played`, each (160,)."""
        _check(played, captured)
        self._played[:] = played
        self._captured[:] = captured
        for request, done in self._steps:
            answer = self._answer(request)
            if answer != done:
                raise RuntimeError(f"livekit does not take a block: {answer!r}")
        return self._captured.copy()


class Speex:
    """libspeexdsp's echo canceller, and its preprocessor for what is left of the echo and, if wanted, for noise."""

    name = "speex"
    late = BLOCK

    def __init__(self, noise_suppression: bool) -> None:
        library = ctypes.PyDLL("libspeexdsp.so.1")
        library.speex_echo_state_init.restype = library.speex_preprocess_state_init.restype = ctypes.c_void_p
        echo = ctypes.c_void_p(library.speex_echo_state_init(BLOCK, TAIL))
        preprocessor = ctypes.c_void_p(library.speex_preprocess_state_init(BLOCK, RATE))
        weakref.finalize(self, library.speex_echo_state_destroy, echo).atexit = False
        weakref.finalize(self, library.speex_preprocess_state_destroy, preprocessor).atexit = False
        library.speex_echo_ctl(echo, SPEEX_SET_RATE, ctypes.byref(ctypes.c_int(RATE)))
        library.speex_preprocess_ctl(preprocessor, SPEEX_SET_ECHO_STATE, echo)
        if not noise_suppression:  # by 0 dB; with its "denoise" off, what is left of the echo would stay, too
            library.speex_preprocess_ctl(preprocessor, SPEEX_SET_NOISE_SUPPRESS, ctypes.byref(ctypes.c_int(0)))
        self._played, self._captured, self._cleaned = (np.zeros(BLOCK, np.int16) for _ in range(3))
        played, captured, cleaned = (
            ctypes.c_void_p(samples.ctypes.data) for samples in (self._played, self._captured, self._cleaned)
        )
        self._cancel, self._cancelled = library.speex_echo_cancellation, (echo, captured, played, cleaned)
        self._suppress, self._suppressed = library.speex_preprocess_run, (preprocessor, cleaned)

    def process(self, played: Samples, captured: Samples) -> Samples:
        """Return `captured` without the echo of `played`, each (160,)."""
        _check(played, captured)
        self._played[:] = played
        self._captured[:] = captured
        self._cancel(*self._cancelled)
        self._suppress(*self._suppressed)
        return self._cleaned.copy()


class Through:
    """Lets everything pass, the echo too."""

    name = "none"
    late = 0

    def __init__(self, noise_suppression: bool) -> None:
        pass

    def process(self, played: Samples, captured: Samples) -> Samples:
        """Return `captured`."""
        _check(played, captured)
        return captured


_MAKERS: dict[str, Callable[[bool], Canceller]] = {"aec3": Aec3, "speex": Speex, "none": Through}
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
            raise ImportError("livekit is there without livekit.rtc")
        folder = spec.submodule_search_locations[0]
        try:
            self._numbers: dict[str, dict[str, int]] = {}
            for descriptor in ("ffi_pb2", "audio_frame_pb2", "handle_pb2"):
                self._numbers |= _numbers(f"{folder}/_proto/{descriptor}.py")
            library = ctypes.PyDLL(f"{folder}/resources/liblivekit_ffi.so")
            self._request, self.drop = library.livekit_ffi_request, library.livekit_ffi_drop_handle
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ImportError(f"livekit is not as expected: {error}") from error
        self._request.restype, self.drop.restype = ctypes.c_uint64, ctypes.c_bool
        self._request.argtypes = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p
        self.drop.argtypes = (ctypes.c_uint64,)
        self._answer, self._length = ctypes.c_void_p(), ctypes.c_size_t()
        self._into = ctypes.addressof(self._answer), ctypes.addressof(self._length)

    def new_apm(self, **settings: int) -> int:
        """Return the handle of a new AudioProcessingModule."""
        value: Any = self.answer(self._message("new_apm", "NewApmRequest", settings))
        for message, field in (
            ("FfiResponse", "new_apm"),
            ("NewApmResponse", "apm"),
            ("OwnedApm", "handle"),
            ("FfiOwnedHandle", "id"),
        ):
            value = dict(_fields(value)).get(self._number(message, field), b"")
        if not isinstance(value, int):
            raise RuntimeError("livekit makes no AudioProcessingModule")
        return value

    def step(self, name: str, message: str, handle: int, samples: Samples) -> tuple[bytes, bytes]:
        """Return the request to process these samples where they are, and the response when that is done."""
        values = {"apm_handle": handle, "data_ptr": samples.ctypes.data, "size": samples.nbytes}
        request = self._message(name, message, values | {"sample_rate": RATE, "num_channels": 1})
        return request, _field(self._number("FfiResponse", name), b"")

    def answer(self, request: bytes) -> bytes:
        """Have the library do what is requested; return its response."""
        handle = self._request(request, len(request), *self._into)
        if not handle or self._answer.value is None:
            raise RuntimeError("livekit does not understand a request")
        answer = ctypes.string_at(self._answer.value, self._length.value)
        self.drop(handle)  # or it keeps every response for ever
        return answer

    def _message(self, name: str, message: str, values: dict[str, int]) -> bytes:
        fields = b"".join(_field(self._number(message, field), value) for field, value in values.items())
        return _field(self._number("FfiRequest", name), fields)

    def _number(self, message: str, field: str) -> int:
        number = self._numbers.get(message, {}).get(field)
        if number is None:
            raise ImportError(f"this livekit has no {message}.{field}")
        return number


def _numbers(path: str) -> dict[str, dict[str, int]]:
    """Return the number of each field of each message, from a module that protobuf's compiler wrote."""
    code = SourceFileLoader("descriptor", path).get_code("descriptor")
    constants = code.co_consts if code else ()
    descriptor = max((constant for constant in constants if isinstance(constant, bytes)), key=len)
    messages = [list(_fields(message)) for kind, message in _fields(descriptor) if kind == MESSAGE]
    return {
        dict(parts)[NAME].decode(): {
            field[NAME].decode(): field[NUMBER]
            for field in (dict(_fields(part)) for kind, part in parts if kind == FIELD)
        }
        for parts in messages
    }


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Take a message apart: the number of each field, and its value, an int or bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key & 7 == 0:
            yield key >> 3, value
        elif key & 7 == 2:
            yield key >> 3, message[at : at + value]
            at += value
        else:
            raise ValueError(f"a protobuf message has wire type {key & 7}, expected 0 or 2")


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
