"""Asterisk as a PBX, and as the trunk of a telephone network, on loopback: in a root of its own, as Debian has it in
its unstable suite only. `make test-sip` builds that root; it runs as root, as it changes into it.

    6001, 6002    telephones of a PBX, digest over UDP and TCP; each is called by its number
    600           says back what it hears; 601 answers, sends keys and says back; 602 answers with busy
    4600100200    an account as 46elks has them: numbers are dialled as +46..., and calls come in from such numbers
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from edgevoice.lines.sip_account import CA_FILE
from tests.e2e.process import end
from tests.e2e.sip import password_of
from tests.ports import free_port

ROOT = Path(__file__).parent.parent.parent / ".asterisk"
WAIT_S = 30.0
TRUNK = "4600100200"
CALLER = "+46701112233"
KEYS = "42*7#"
USERS = ("6001", "6002", TRUNK)

MAIN = """
[directories]
astetcdir => {etc}
astmoddir => {modules}
astvarlibdir => /var/lib/asterisk
astdatadir => /usr/share/asterisk
astdbdir => {etc}
astkeydir => {etc}
astspooldir => {etc}
astrundir => {etc}
astlogdir => {etc}
[options]
nocolor = yes
"""
MODULES = (
    *("res_pjproject", "res_sorcery_config", "res_sorcery_memory", "res_sorcery_astdb", "res_timing_timerfd"),
    *("res_pjsip", "res_pjsip_session", "res_pjsip_sdp_rtp", "res_pjsip_registrar", "res_pjsip_caller_id"),
    *("res_pjsip_authenticator_digest", "res_pjsip_endpoint_identifier_user", "res_pjsip_dtmf_info", "chan_pjsip"),
    *("res_pjsip_rfc3326", "res_pjsip_pubsub", "res_pjsip_nat", "res_rtp_asterisk", "res_musiconhold"),
    *("codec_alaw", "codec_ulaw", "codec_g722", "codec_resample"),
    *(
        "bridge_simple",
        "bridge_native_rtp",
        "pbx_config",
        "app_dial",
        "app_echo",
        "app_senddtmf",
        "func_callerid",
        "res_clioriginate",
    ),
)
ACCOUNTS = """
[global]
type = global
endpoint_identifier_order = username
[udp]
type = transport
protocol = udp
bind = 127.0.0.1:{port}
[tcp]
type = transport
protocol = tcp
bind = 127.0.0.1:{port}
{users}
"""
USER = """
[{user}]
type = endpoint
context = {context}
disallow = all
allow = alaw,ulaw,g722
auth = {user}
aors = {user}
direct_media = no
timers = {timers}
timers_min_se = 90
timers_sess_expires = 90
[{user}]
type = auth
auth_type = userpass
username = {user}
password = {password}
[{user}]
type = aor
max_contacts = 1
remove_existing = yes
minimum_expiration = 10
"""
PLAN = f"""
[pbx]
exten => 600,1,Answer()
 same => n,Echo()
exten => 601,1,Answer()
 same => n,Wait(1)
 same => n,SendDTMF({KEYS},150)
 same => n,Echo()
exten => 602,1,Busy(5)
exten => _600X,1,Dial(PJSIP/${{EXTEN}},20)
[trunk]
exten => _+46X.,1,Progress()
 same => n,Ringing()
 same => n,Wait(1)
 same => n,Answer()
 same => n,Echo()
exten => _X.,1,Hangup(28)
[outside]
exten => _X.,1,Set(CALLERID(num)={CALLER})
 same => n,Dial(PJSIP/${{EXTEN}},20)
"""


class Asterisk:
    """The process. `ask` is its own command line."""

    def __init__(self, *, timers: str = "yes") -> None:
        """`timers`: how it takes RFC 4028: "yes", "no", "required", "always"."""
        self.port = free_port()
        self.tls_address, self.ca_file = "", Path(CA_FILE)
        self._timers = timers
        self._folder = tempfile.TemporaryDirectory(prefix="edgevoice-", dir=ROOT / "tmp")
        self.folder = Path(self._folder.name)
        self._inside = f"/tmp/{self.folder.name}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Asterisk:
        modules = next((ROOT / "usr/lib").glob("*/asterisk/modules")).relative_to(ROOT)
        users = [
            USER.format(
                user=user,
                password=password_of(user),
                context="trunk" if user == TRUNK else "pbx",
                timers=self._timers,
            )
            for user in USERS
        ]
        low = 20_000 + self.port % 10_000 // 2 * 2
        for name, text in {
            "asterisk.conf": MAIN.format(etc=self._inside, modules=f"/{modules}"),
            "modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in MODULES),
            "pjsip.conf": ACCOUNTS.format(port=self.port, users="".join(users)),
            "extensions.conf": PLAN,
            "rtp.conf": f"[general]\nrtpstart = {low}\nrtpend = {low + 199}\nstrictrtp = yes\n",
            "logger.conf": "[logfiles]\nmessages = error,warning,notice\n",
            "musiconhold.conf": "",
        }.items():
            (self.folder / name).write_text(text)
        self._log = (self.folder / "log").open("w")
        command = ["chroot", str(ROOT), "asterisk", "-f", "-C", f"{self._inside}/asterisk.conf"]
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log, start_new_session=True)
        give_up = time.monotonic() + WAIT_S
        while "fully booted" not in self.ask("core waitfullybooted"):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < give_up, self.log
        return self

    @property
    def log(self) -> str:
        return "".join(path.read_text() for name in ("log", "messages") if (path := self.folder / name).exists())

    def ask(self, words: str) -> str:
        command = ["chroot", str(ROOT), "asterisk", "-C", f"{self._inside}/asterisk.conf", "-rx", words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_S).stdout

    def call(self, user: str, *, extension: str = "600@pbx") -> None:
        """Have somebody with the number CALLER call a telephone; who answers is joined to that extension."""
        self.ask(f"channel originate Local/{user}@outside extension {extension}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end(self.process, 10)
        self._log.close()
        if kind:
            print(self.log)
        self._folder.cleanup()
