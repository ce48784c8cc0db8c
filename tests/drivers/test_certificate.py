"""The certificate of the phone lines: renewed, broken, expired."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgevoice.drivers import line_server
from edgevoice.drivers.certificate import Certificate
from edgevoice.errors import DeviceError
from tests import journal
from tests.drivers import certificates

BEGUN, ENDED = "20200101000000Z", "20210101000000Z"


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    journal.listen(caplog)
    yield
    journal.check(caplog)


def install(files: tuple[Path, Path], shown: tuple[Path, Path], at: int) -> None:
    """Copy a pair to where the box looks for it; `at` is when, by the files' own clock."""
    for source, target in zip(files, shown, strict=True):
        target.write_bytes(source.read_bytes())
        os.utime(target, (at, at))


def shows(certificate: Certificate, trusted: Path) -> bool:
    """Tell whether who connects now is shown that certificate."""
    client = ssl.create_default_context(cafile=str(trusted))
    client.check_hostname = False
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks = client.wrap_bio(to_client, to_server)
    answers = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    try:
        for side in (asks, answers, asks):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
    except ssl.SSLError:
        return False
    return asks.version() is not None


@pytest.fixture
def shown(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "live.pem", tmp_path / "live.key"


def test_a_good_certificate_is_no_trouble_and_is_not_loaded_twice(tmp_path: Path) -> None:
    certificate = Certificate(*certificates.make(tmp_path))
    assert certificate.trouble == ""
    assert not certificate.reload()


def test_new_files_are_loaded(tmp_path: Path, shown: tuple[Path, Path]) -> None:
    old, new = certificates.make(tmp_path, "old"), certificates.make(tmp_path, "new")
    install(old, shown, 1000)
    certificate = Certificate(*shown)
    install(new, shown, 2000)
    assert certificate.reload()
    assert shows(certificate, new[0])
    assert not shows(certificate, old[0])


def test_a_half_renewed_pair_leaves_the_last_good_one_in_use(tmp_path: Path, shown: tuple[Path, Path]) -> None:
    old, new = certificates.make(tmp_path, "old"), certificates.make(tmp_path, "new")
    install(old, shown, 1000)
    certificate = Certificate(*shown)
    install((new[0], old[1]), shown, 2000)  # the key has not been written yet
    assert not certificate.reload()
    assert "do not belong together" in certificate.trouble
    assert shows(certificate, old[0]), "callers come in meanwhile"
    install(new, shown, 3000)
    assert certificate.reload()
    assert certificate.trouble == ""
    assert shows(certificate, new[0])


def test_files_that_vanish_are_told_and_the_last_ones_stay(tmp_path: Path, shown: tuple[Path, Path]) -> None:
    old = certificates.make(tmp_path, "old")
    install(old, shown, 1000)
    certificate = Certificate(*shown)
    shown[1].unlink()
    assert not certificate.reload()
    assert certificate.trouble == f"{shown[1]}: No such file or directory"
    assert shows(certificate, old[0])


def test_a_certificate_that_has_expired_is_said(tmp_path: Path) -> None:
    certificate = Certificate(*certificates.make(tmp_path, begins=BEGUN, ends=ENDED))
    assert (
        certificate.trouble
        == f"the certificate {tmp_path / 'server.pem'} has expired: phone services turn away; renew it"
    )


def test_a_certificate_of_tomorrow_asks_for_the_clock(tmp_path: Path) -> None:
    certificate = Certificate(*certificates.make(tmp_path, begins="20480101000000Z", ends="20490101000000Z"))
    assert certificate.trouble.endswith("is not valid yet: is the clock of this box right?")


def test_a_certificate_that_is_never_renewed_is_said_while_the_box_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = Certificate(*certificates.make(tmp_path, days=30))
    began = time.time()
    later = {"days": 0.0}
    monkeypatch.setattr(time, "time", lambda: began + later["days"] * 86400)
    assert certificate.trouble == ""
    later["days"] = 20.1
    assert certificate.trouble == "the certificate expires in 10 days: renew it"
    later["days"] = 30.1
    assert "has expired" in certificate.trouble


def test_files_that_are_no_pair_or_none_are_a_sentence_at_the_start(tmp_path: Path) -> None:
    one, other = certificates.make(tmp_path, "one"), certificates.make(tmp_path, "other")
    with pytest.raises(DeviceError, match="do not belong together"):
        Certificate(one[0], other[1])
    with pytest.raises(DeviceError, match=r"missing\.pem: No such file"):
        Certificate(tmp_path / "missing.pem", one[1])
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no PEM")
    with pytest.raises(DeviceError, match="are not PEM"):
        Certificate(garbage, one[1])


def test_a_key_with_a_password_is_a_sentence_and_asks_nobody(tmp_path: Path) -> None:
    certificate, key = certificates.make(tmp_path)
    locked = tmp_path / "locked.key"
    certificates.openssl("pkey", "-in", str(key), "-aes256", "-passout", "pass:secret", "-out", str(locked))
    with pytest.raises(DeviceError, match=r"locked\.key"):
        Certificate(certificate, locked)


def test_the_journal_hears_of_trouble_once_and_of_a_renewal(
    tmp_path: Path, shown: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expired, new = certificates.make(tmp_path, "old", begins=BEGUN, ends=ENDED), certificates.make(tmp_path, "new")
    install(expired, shown, 1000)
    monkeypatch.setattr(line_server, "CERTIFICATE_S", 0.0)

    async def rounds(count: int) -> None:
        watching = asyncio.create_task(line_server.watch(certificate))
        for _ in range(count):
            await asyncio.sleep(0)
        install(new, shown, 2000)
        for _ in range(20):
            await asyncio.sleep(0)
        watching.cancel()

    certificate = Certificate(*shown)
    asyncio.run(rounds(20))
    told = [(record.levelno, record.getMessage()) for record in caplog.records if record.name.startswith("edgevoice")]
    assert [level for level, _ in told] == [logging.WARNING, logging.INFO]
    assert "has expired" in told[0][1]
