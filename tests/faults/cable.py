"""A network cable between the box and a service, which can be cut, be slow, lose packets, and lead to nobody.

A TCP connection through a network that is cut hears of nothing: what is sent waits, as it does here. Lost packets are
sent again by TCP, so what is lost here is late, and everything behind it, too.
"""

from __future__ import annotations

import random
import selectors
import socket
import threading
import time
from collections import deque
from types import TracebackType

AGAIN_S = 0.2  # after which TCP sends a lost packet again, the first time. Source: RFC 6298, Linux's least RTO
PIECE = 1400  # bytes: a packet
ROOM = 256 * 1024  # bytes that wait in the cable; then its ends have to wait, as with full buffers


class _Way:
    """One direction of one connection."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source, self.target = source, target
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.held = 0
        self.due = 0.0
        self.over = False


class Cable:
    """Listens on `port` of an address of this machine and leads to `to` on loopback, in a thread of its own."""

    def __init__(self, to: int, address: str = "127.0.0.1") -> None:
        self._to = to
        self._listener = socket.create_server((address, 0))
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self.taken = 0  # connections
        self._cut = self._mute = False
        self._late_s, self._lost = 0.0, 0.0
        self._chance = random.Random(1)
        self._ways: list[_Way] = []
        self._silent: list[socket.socket] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Cable:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        for way in self._ways:
            way.source.close()
            way.target.close()
        for end in (*self._silent, self._listener):
            end.close()

    def cut(self) -> None:
        """From now on nothing arrives, and nobody is told. The kernel takes new connections; they are not answered."""
        self._cut = True

    def mend(self) -> None:
        """What waited arrives, in order."""
        self._cut = False

    def reset(self) -> None:
        """Break every connection, as a router does that was switched on again."""
        for way in list(self._ways):
            way.over = True

    def lead_nowhere(self) -> None:
        """Accept every new connection and never say a word."""
        self._mute = True

    def be_slow(self, late_s: float, lost: float = 0.0) -> None:
        """Delay every packet, and lose that share of them."""
        self._late_s, self._lost = late_s, lost

    # ----------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            while not self._stop.is_set():
                self._watch(selector)
                for key, _ in selector.select(0.005 if any(way.waiting for way in self._ways) else 0.02):
                    if key.data is None:
                        self._accept()
                    else:
                        self._take(key.data)
                self._give()

    def _watch(self, selector: selectors.BaseSelector) -> None:
        """Read from whom there is room for."""
        wanted = {way.source: way for way in self._ways if not way.over and way.held < ROOM}
        wanted_keys: dict[socket.socket, _Way | None] = {**wanted}
        if not self._cut:
            wanted_keys[self._listener] = None
        for key in list(selector.get_map().values()):
            if key.fileobj not in wanted_keys:
                selector.unregister(key.fileobj)
        known = {key.fileobj for key in selector.get_map().values()}
        for end, way in wanted_keys.items():
            if end not in known:
                selector.register(end, selectors.EVENT_READ, way)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        self.taken += 1
        if self._mute:
            self._silent.append(near)
            return
        try:
            far = socket.create_connection(("127.0.0.1", self._to), timeout=2)
        except OSError:
            near.close()
            return
        for end in (near, far):
            end.setblocking(False)
        self._ways += [_Way(near, far), _Way(far, near)]

    def _take(self, way: _Way) -> None:
        try:
            piece = way.source.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        late_s = self._late_s + (AGAIN_S if self._chance.random() < self._lost else 0.0)
        way.due = max(way.due, time.monotonic() + late_s)  # TCP keeps the order
        way.waiting.append((way.due, piece))
        way.held += len(piece)
        if not piece:
            way.held = ROOM  # nothing more is read

    def _give(self) -> None:
        now = time.monotonic()
        for way in self._ways:
            while way.waiting and not self._cut and way.waiting[0][0] <= now and not way.over:
                _, piece = way.waiting[0]
                try:
                    if not piece:
                        way.target.shutdown(socket.SHUT_WR)
                        way.over = True
                        break
                    sent = way.target.send(piece)
                except BlockingIOError:
                    break
                except OSError:
                    way.over = True
                    break
                way.waiting.popleft()
                way.held -= sent
                if sent < len(piece):
                    way.waiting.appendleft((now, piece[sent:]))
        self._bury()

    def _bury(self) -> None:
        """Close what is over: both ways of a connection, once what waited in the other has arrived."""
        by_ends: dict[frozenset[int], list[_Way]] = {}
        for way in self._ways:
            by_ends.setdefault(frozenset((id(way.source), id(way.target))), []).append(way)
        for ways in by_ends.values():
            if all(way.over for way in ways):
                for way in ways:
                    for end in (way.source, way.target):
                        end.close()
                    self._ways.remove(way)
