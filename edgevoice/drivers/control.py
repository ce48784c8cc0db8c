"""The socket by which `edgevoice ctl` talks to the running appliance: one JSON object a line, asked and answered.

    {"do": "status"} | {"do": "press"} | {"do": "release"} | {"do": "call", "target": "parrot"} | {"do": "hangup"}
    | {"do": "mute", "on": true | false | null} | {"do": "volume", "percent": 0..100}
    | {"do": "say", "path": "/a/file.wav", "to": "card", "now": false, "loop": false} | {"do": "hush", "to": "card"}
    | {"do": "keys", "keys": "1#", "to": "sip-3"} | {"do": "chirp", "aloud": true} | {"do": "try", "within_s": 10}
    -> {"ok": true, ...} | {"ok": false, "error": "a sentence"}

The socket's mode is 0600 from the moment it exists: who may open it is the user it belongs to, and root.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec

from edgevoice.errors import DeviceError, EdgevoiceError

SOCKET = "/run/edgevoice/control.sock"
LINE_LIMIT = 64 * 1024  # bytes
CLIENTS = 8  # a person, a script or two, and what they forgot to close
IDLE_S = 60.0
ELSEWHERE = "name another place in the configuration: status.socket"


class NobodyListens(DeviceError):
    """No appliance is running, as far as can be seen."""


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="status"):
    """What is the box doing?"""


class Press(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="press"):
    """As if the button went down."""


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="release"):
    """As if the button came up."""


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="call"):
    """Call somebody by name."""

    target: str


class HangUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="hangup"):
    """End the call."""


class Mute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="mute"):
    """Mute the microphone, or not; None: the other way round than now."""

    on: bool | None = None


class Volume(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="volume"):
    """Set the loudspeaker's volume."""

    percent: Annotated[int, msgspec.Meta(ge=0, le=100)]


class Say(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="say"):
    """Play the recording in a file on a leg: "card", or a call by its name. `now`: what sounds is cut off."""

    path: str
    to: str = ""
    now: bool = False
    loop: bool = False


class Hush(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="hush"):
    """End the recording that is played on a leg."""

    to: str = ""


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="keys"):
    """Send digits in a running call over SIP: by its name, or in the only one there is."""

    keys: Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-D*#]{1,32}\Z")]
    to: str = ""


class Chirp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="chirp"):
    """Play the faint chirp of the night now and tell what the microphone hears; not `aloud`: only listen."""

    aloud: bool = True


class Try(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="try"):
    """Flash the light and tell whether the button is pressed meanwhile, which calls nobody."""

    within_s: Annotated[float, msgspec.Meta(ge=1, le=15)] = 10.0


Request: TypeAlias = Status | Press | Release | Call | HangUp | Mute | Volume | Say | Hush | Keys | Chirp | Try
Answer: TypeAlias = Callable[[Request], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]

_decode = msgspec.json.Decoder(Request).decode


@asynccontextmanager
async def serve(path: str, answer: Answer, *, idle_s: float = IDLE_S) -> AsyncIterator[str]:
    """Answer requests on a Unix socket at `path` while the block runs; yields the path that was really taken.

    Where `path` is not ours to create it is `$XDG_RUNTIME_DIR/edgevoice/control.sock`. `answer` runs on the loop; what
    it returns goes out with `"ok": true` unless it says otherwise, and an EdgevoiceError it raises as `"ok": false`.
    Raises DeviceError when the socket cannot be had or another edgevoice answers on it.
    """
    listener, taken = _listen(path)
    clients: set[asyncio.StreamWriter] = set()

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.add(writer)
        try:
            if len(clients) > CLIENTS:
                writer.write(_encode_error(f"{CLIENTS} clients are connected already"))
            else:
                await _converse(reader, writer, answer, idle_s)
        except TimeoutError:
            writer.transport.abort()  # `close` would wait until they read what we wrote
        except ConnectionError:
            pass  # nobody is there for the rest of the answer
        finally:
            clients.discard(writer)
            writer.close()

    server = await asyncio.start_unix_server(attend, sock=listener, limit=LINE_LIMIT)
    try:
        yield taken
    finally:
        server.close()
        for writer in clients:
            writer.close()
        _remove(taken)


def ask(path: str | None, request: Mapping[str, Any], timeout_s: float = 5.0) -> dict[str, Any]:
    """Send one request to the running appliance and return its answer; blocks.

    Looks at `path` (None: the default), then where `serve` falls back to. Raises NobodyListens, or DeviceError when
    somebody does who does not answer.
    """
    asked, denied = [], ""
    for candidate in _candidates(path or SOCKET):
        asked.append(candidate)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            try:
                connection.connect(candidate)
                return _exchange(connection, request)
            except PermissionError:
                denied = candidate
            except TimeoutError as error:
                raise DeviceError(f"edgevoice does not answer on {candidate} within {timeout_s:g} s") from error
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED):
                    raise DeviceError(f"{candidate}: {error.strerror or error}") from error
    if denied:
        raise DeviceError(f"{denied}: permission denied; ask as the user of the service, or with sudo")
    raise NobodyListens(f"edgevoice is not running (nobody listens on {' or '.join(asked)})")


def _candidates(path: str) -> list[str]:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return [path, f"{runtime}/edgevoice/control.sock"] if runtime else [path]


def _listen(path: str) -> tuple[socket.socket, str]:
    for candidate in _candidates(path):
        try:
            return _bind(candidate), candidate
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise DeviceError(f"{_cannot_be(candidate)}: {error.strerror or error}; {ELSEWHERE}") from error
    tried = _cannot_be(" or ".join(_candidates(path)))
    raise DeviceError(f"{tried}: permission denied, expected a directory of ours, or $XDG_RUNTIME_DIR; {ELSEWHERE}")


def _cannot_be(path: str) -> str:
    return f"the control socket {path} cannot be made"


def _bind(path: str) -> socket.socket:
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(listener.fileno(), 0o600)  # Linux: the file that bind makes has the socket's mode, from the start
        listener.bind(path)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _remove_stale(path: str) -> None:
    """Remove the socket of a process that is dead; raise DeviceError when it is alive, or no socket."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise DeviceError(f"{path} is in the way: it exists and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            _remove(path)
            return
        except BlockingIOError:
            pass  # alive, and too busy to accept
    raise DeviceError(f"another edgevoice is running: it answers on {path}")


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer, idle_s: float) -> None:
    while True:
        async with asyncio.timeout(idle_s):
            try:
                line = await reader.readline()
            except ValueError:  # where the next line begins is lost
                writer.write(_encode_error(f"a line is longer than {LINE_LIMIT} bytes"))
                return
        if not line:
            return
        writer.write(await _answer(line, answer))
        async with asyncio.timeout(idle_s):
            await writer.drain()


async def _answer(line: bytes, answer: Answer) -> bytes:
    try:
        request = _decode(line)
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors, and so is a wrong encoding
        return _encode_error(str(error))
    try:
        reply = answer(request)
        if inspect.isawaitable(reply):
            reply = await reply
    except EdgevoiceError as error:
        return _encode_error(str(error))
    return msgspec.json.encode({"ok": True, **reply}) + b"\n"


def _encode_error(sentence: str) -> bytes:
    return msgspec.json.encode({"ok": False, "error": sentence}) + b"\n"


def _exchange(connection: socket.socket, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        connection.sendall(msgspec.json.encode(request) + b"\n")
    except BrokenPipeError:
        pass  # they would not listen, but may have said why
    with connection.makefile("rb") as answers:
        line = answers.readline()
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise DeviceError(f"edgevoice ended the connection without an answer ({len(line)} bytes came)") from error


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)
