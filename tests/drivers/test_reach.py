"""How far it is to a service, tried on loopback: every way in which it is not reached has its own words."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgevoice.drivers.http import ask
from edgevoice.drivers.reach import port_trouble, reach, resolve
from tests.doctor.certificates import certificate
from tests.doctor.service import Service
from tests.ports import free_port

YEAR_S = 365 * 86_400


def trust(monkeypatch: pytest.MonkeyPatch, chain: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))


def test_a_service_that_is_well_is_reached_and_tells_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = certificate(tmp_path / "certificate")
    trust(monkeypatch, files[0])
    with Service(files) as service:
        reached = reach("localhost", service.port, tls=True)
    assert (reached.dns_trouble, reached.trouble, reached.certificate_trouble) == ("", "", "")
    assert reached.version == "TLSv1.3"
    assert reached.ahead_s == pytest.approx(0.0, abs=3.0)


def test_a_service_whose_clock_differs_tells_how_wrong_ours_is() -> None:
    with Service(ahead_s=YEAR_S) as service:
        reached = reach("localhost", service.port, tls=False)
    assert reached.ahead_s == pytest.approx(-YEAR_S, abs=5.0)


def test_a_certificate_of_nobody_we_trust_is_refused(tmp_path: Path) -> None:
    with Service(certificate(tmp_path / "certificate")) as service:
        reached = reach("localhost", service.port, tls=True)
    assert "self-signed certificate" in reached.certificate_trouble
    assert (reached.dates_wrong, reached.ahead_s) == (False, None)


@pytest.mark.parametrize("dates", [(-20, -10), (10, 20)], ids=["expired", "not yet valid"])
def test_a_certificate_of_another_time_is_told_apart_and_the_time_is_asked_for_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dates: tuple[int, int]
) -> None:
    files = certificate(tmp_path / "certificate", begins_days=dates[0], ends_days=dates[1])
    trust(monkeypatch, files[0])
    with Service(files, ahead_s=YEAR_S) as service:
        reached = reach("localhost", service.port, tls=True)
    assert reached.dates_wrong
    assert reached.ahead_s == pytest.approx(-YEAR_S, abs=5.0)


def test_what_speaks_another_language_is_reached_and_tells_no_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        over = threading.Event()

        def speak() -> None:
            while not over.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        speaking = threading.Thread(target=speak)
        speaking.start()
        try:
            reached = reach("localhost", port, tls=False)
            status, words = asyncio.run(ask("GET", f"http://localhost:{port}/v1/models", {"Authorization": "x"}, ()))
        finally:
            over.set()
            speaking.join()
    assert (reached.trouble, reached.ahead_s) == ("", None)
    assert (status, words) == (0, b"SSH-2.0-OpenSSH_9.2\r\n")


def test_a_port_where_nobody_listens_is_told() -> None:
    assert reach("localhost", free_port(), tls=True).trouble == "Connection refused"


@pytest.fixture
def silent_name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    end = threading.Event()

    def getaddrinfo(*arguments: Any, **options: Any) -> list[Any]:
        end.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    end.set()


@pytest.mark.usefixtures("silent_name_server")
def test_a_name_server_that_says_nothing_is_not_waited_for() -> None:
    assert resolve("api.example.com", 443, limit_s=0.05) == "no answer within 0.05 s"


def test_a_name_that_cannot_be_one_is_told_and_nothing_is_raised() -> None:
    assert resolve("x" * 300, 443) != ""


def test_a_port_that_is_free_can_be_listened_on_and_one_that_is_taken_cannot() -> None:
    taken = f"127.0.0.1:{free_port()}"
    with socket.create_server(("127.0.0.1", int(taken.partition(":")[2]))):
        assert port_trouble(taken) == f"{taken}: Address already in use"
    assert port_trouble(taken) == ""
    without_ipv6 = ("Cannot assign requested address", "Address family not supported by protocol")
    assert port_trouble("[::1]:0") in ("", *(f"[::1]:0: {trouble}" for trouble in without_ipv6))
