"""Real peers as processes of their own: Kamailio and sipp. Each has its own port and directory, and ends by its id."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.ports import free_port

HERE = Path(__file__).parent
START_S = 30.0
TLS_DAYS = "2"


@asynccontextmanager
async def kamailio(folder: Path, port: int = 0) -> AsyncIterator[int]:
    """Run a registrar that knows 6001/secret6001 and 6002/secret6002; yields its port."""
    port = port or free_port()
    process = await asyncio.create_subprocess_exec(
        *("kamailio", "-DD", "-E", "-m", "16", "-M", "4", "-f", str(_configuration(folder, port))),
        *("-P", str(folder / "pid"), "-Y", str(folder)),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(START_S):
            while not _listens(port):
                assert process.returncode is None, "kamailio has ended"
                await asyncio.sleep(0.05)
        yield port
    finally:
        process.terminate()
        await process.wait()


def _configuration(folder: Path, port: int) -> Path:
    modules = next(Path("/usr/lib").glob("*/kamailio/modules"))
    text = (HERE / "kamailio.cfg").read_text().replace("PORT", str(port)).replace("MODULES", f"{modules}/")
    (folder / "kamailio.cfg").write_text(text)
    return folder / "kamailio.cfg"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def sipp(scenario: str, folder: Path, *arguments: str) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """Run one call of a scenario; yields its port and the process, which returns 0 when all went as written."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *("sipp", "-sf", str(HERE / scenario), "-i", "127.0.0.1", "-p", str(port), "-m", "1", "-nostdin"),
        *("-timeout", "60s", "-timeout_error", *arguments),
        cwd=folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield port, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def certificate(folder: Path, name: str, host: str, *, issuer: str = "") -> Path:
    """Make a certificate for `host`, signed by `issuer` or by itself; return the file with it and its key."""
    key, request, made = (folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
    extensions = folder / f"{name}.ext"
    kind = f"subjectAltName=DNS:{host}" if host else "basicConstraints=critical,CA:TRUE"
    extensions.write_text(f"{kind}\n")
    new = [
        "openssl",
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-keyout",
        key,
        "-out",
        request,
    ]
    _run([*new, "-subj", f"/CN={host or name}"])
    by = ["-CA", folder / f"{issuer}.crt", "-CAkey", folder / f"{issuer}.key", "-CAcreateserial"] if issuer else []
    sign = ["openssl", "x509", "-req", "-in", request, "-days", TLS_DAYS, "-out", made, "-extfile", extensions]
    _run([*sign, *(by or ["-signkey", key])])
    both = folder / f"{name}.pem"
    both.write_text(made.read_text() + key.read_text())
    return both


def _run(command: list[object]) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


BARESIP = """
sip_listen 127.0.0.1:{port}
net_interface 127.0.0.1
audio_player aubridge,echo
audio_source aubridge,echo
ausrc_srate 8000
auplay_srate 8000
jitter_buffer_type fixed
module_path {modules}
module g711.so
module aubridge.so
module_app account.so
module_app contact.so
module_app menu.so
"""


@asynccontextmanager
async def baresip(folder: Path, registrar: int) -> AsyncIterator[None]:
    """Run Debian's baresip as 6002: it answers whoever calls, and says back what it hears."""
    process = await asyncio.create_subprocess_exec(
        *("baresip", "-f", str(_baresip(folder, registrar))),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _baresip(folder: Path, registrar: int) -> Path:
    folder = folder / "baresip"
    folder.mkdir()
    modules = next(Path("/usr/lib").glob("**/baresip/modules"))
    (folder / "config").write_text(BARESIP.format(port=free_port(), modules=modules))
    account = f"<sip:6002@127.0.0.1:{registrar}>;auth_pass=secret6002;answermode=auto;regint=60;audio_codecs=PCMA"
    (folder / "accounts").write_text(f"{account}\n")
    (folder / "contacts").write_text("")
    return folder
