"""A service on loopback that knows one key, and tells the time that it is told to tell."""

from __future__ import annotations

import ssl
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

KEY = "sk-right"
KEY_HEADERS = ("Authorization", "xi-api-key", "x-goog-api-key")


class Service:
    """`files` are certificate and key, for TLS; `ahead_s` is how wrong its clock is; `silent`: it hangs up instead."""

    def __init__(
        self,
        files: tuple[Path, Path] | None = None,
        *,
        ahead_s: float = 0.0,
        key: str = f"Bearer {KEY}",
        path: str = "/v1/models/m",
        silent: bool = False,
        refusal: tuple[int, bytes] = (401, b""),
    ) -> None:
        self.asked: list[tuple[str, str, str]] = []  # method, path, key
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _answering(self, ahead_s, key, path, silent, refusal))
        self._server.daemon_threads = True
        self._server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
        if files:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*files)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]

    def __enter__(self) -> Service:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _answering(
    service: Service, ahead_s: float, key: str, path: str, silent: bool, refusal: tuple[int, bytes]
) -> type[BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(404)

        def do_GET(self) -> None:
            if silent:
                self.close_connection = True
            elif self._key != key:
                self._answer(*refusal)
            else:
                self._answer(200 if self.path == path else 404)

        @property
        def _key(self) -> str:
            return next((self.headers[name] for name in KEY_HEADERS if name in self.headers), "")

        def _answer(self, status: int, body: bytes = b"") -> None:
            service.asked.append((self.command, self.path, self._key))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time.time() + ahead_s, usegmt=True)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Answering
