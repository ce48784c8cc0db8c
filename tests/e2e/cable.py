"""A cable between the box and a service, on loopback, that the test can cut and mend."""

from __future__ import annotations

import socket
import threading
from types import TracebackType

from tests.ports import free_port


class Cable:
    """Carries every connection to `port`. Cut, all of them are reset and no new one is accepted."""

    def __init__(self, port: int) -> None:
        self._service = ("127.0.0.1", port)
        self._whole = threading.Event()
        self._ends: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.port = free_port()  # nobody is given it while the cable is cut

    def __enter__(self) -> Cable:
        self.mend()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()

    def mend(self) -> None:
        """Listen, at the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._whole.set()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        self._whole.clear()
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for end in self._ends:
            _reset(end)
        self._ends.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:  # cut
                return
            far = socket.create_connection(self._service)
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=(one, other), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:  # cut, or the other end has gone
        pass


def _reset(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:  # it has gone already
        pass
    end.close()
