"""OpenAI: the person's sound as it is sent, and what of it the next session must be sent again.

Rules
* A session counts the sound that it was sent from 0. What is remembered here is counted in the same way.
* A session that takes over knows of the past only by words. So it is sent again what has not become words: a turn that
  is being spoken, and, where the link was lost, also a turn whose words never came, and the last `LOST_MS`, of which
  nobody knows whether they arrived.
"""

from __future__ import annotations

import binascii
from collections import deque

from edgevoice.agents.draft import message
from edgevoice.agents.openai_session import BYTES_PER_MS, PREFIX_MS

FRAME = 20 * BYTES_PER_MS  # of one append: small enough that the service notices a voice at once
SHORTEST_TURN = 100 * BYTES_PER_MS  # the service refuses to commit less
KEPT_FRAMES = 750  # 15 s of the person's sound, for a session that takes over in mid-sentence
LOST_MS = 6_000  # a dead network is noticed after 5 s (`drivers/websocket.py`)
LONGEST_AGO_MS = 10_000.0  # a voice is told of within a second: a service that says more counts something else
APPEND = '{"type":"input_audio_buffer.append","audio":"%s"}'
COMMIT = message("input_audio_buffer.commit")


class Sound:
    """What was sent of the person in this session, in bytes. What it returns is to be sent, in order."""

    def __init__(self, *, service_ends_turns: bool) -> None:
        self._service_ends_turns = service_ends_turns
        self._partial = bytearray()  # less than a frame
        self._frames: deque[bytes] = deque(maxlen=KEPT_FRAMES)
        self._appended = 0  # in this session
        self._ended = 0  # of them, up to the end of the last turn
        self._began: int | None = None  # where the voice began that the service is hearing
        self._untold: int | None = None  # where the last turn began, until its words come

    @property
    def hears_voice(self) -> bool:
        """The service is hearing a voice."""
        return self._began is not None

    def append(self, pcm: bytes) -> list[str]:
        self._partial += pcm
        whole = len(self._partial) // FRAME * FRAME
        sent = self._send(bytes(self._partial[:whole]))
        del self._partial[:whole]
        return sent

    def flush(self) -> list[str]:
        """Send what is less than a frame."""
        rest = bytes(self._partial)
        self._partial.clear()
        return self._send(rest)

    def _send(self, pcm: bytes) -> list[str]:
        frames = [pcm[i : i + FRAME] for i in range(0, len(pcm), FRAME)]
        self._frames.extend(frames)
        self._appended += len(pcm)
        return [APPEND % binascii.b2a_base64(frame, newline=False).decode("ascii") for frame in frames]

    # ------------------------------------------------------------------------------------------------- the turn

    def begins(self, audio_start_ms: float | None, prefix_ms: int) -> float | None:
        """Date the voice that the service hears: how long ago it began, if that can be told.

        The service counts what it was sent in this session, and dates a voice by its prefix.
        """
        began = self._appended - PREFIX_MS * BYTES_PER_MS
        ago_ms: float | None = None
        if audio_start_ms is not None and 0 <= audio_start_ms * BYTES_PER_MS <= self._appended:
            began = int(audio_start_ms) * BYTES_PER_MS
            since_ms = max(0.0, (self._appended - began) / BYTES_PER_MS - prefix_ms)
            ago_ms = since_ms if since_ms <= LONGEST_AGO_MS else None
        self._began = max(0, began)
        return ago_ms

    def ended(self) -> None:
        """The service has ended a turn."""
        self._untold = self._ended if self._began is None else self._began
        self._began = None
        self._ended = self._appended

    def commit(self) -> list[str]:
        """End a turn; nothing is to be sent where there is none: it was a touch of the button."""
        if self._appended - self._ended < SHORTEST_TURN:
            return []
        self._untold, self._ended = self._ended, self._appended
        return [COMMIT]

    def told(self) -> None:
        """The words of the last turn have come."""
        self._untold = None

    # ------------------------------------------------------------------------------------- the next session

    def take_over(self, *, lost: bool, waiting: bool) -> list[str]:
        """Begin a new session. `lost`: the link was; `waiting`: the last turn has no answer yet."""
        untold = self._untold if lost and waiting else None
        if self._service_ends_turns:
            since = [self._began, untold, max(self._ended, self._appended - LOST_MS * BYTES_PER_MS) if lost else None]
            known = [position for position in since if position is not None]
            return self._begin(self._cut(min(known), self._appended) if known else b"")
        turn = b"" if untold is None else self._cut(untold, self._ended)
        rest = self._cut(self._ended, self._appended)
        if not turn:
            return self._begin(rest)
        sent = self._begin(turn)
        self._untold, self._ended = 0, self._appended
        return [*sent, COMMIT, *self._send(rest)]

    def _cut(self, start: int, end: int) -> bytes:
        """Return what was sent between two positions, as far as it is kept."""
        kept = b"".join(self._frames)
        first = self._appended - len(kept)
        return kept[max(0, start - first) : max(0, end - first)]

    def _begin(self, pcm: bytes) -> list[str]:
        self._appended = self._ended = 0
        self._began = self._untold = None
        return self._send(pcm)
