"""A Debian in a container, with systemd as its first process; and packages that are not as they should be."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "debian"  # what does not change: a bare Debian
SUITE, PYTHON, MARK = "bookworm", "3.11", "+deb12"
BARE = "systemd,systemd-sysv,dbus,udev,procps,libspeexdsp1,libstdc++6,zlib1g"
ITS_OWN = {SUITE: f"libasound2,python{PYTHON}", "trixie": "libasound2t64,python3.13"}
LIMIT_S = 120.0  # only ends a test that hangs
OURS = ("-u", "edgevoice", "-u", "edgevoice-switch@reboot", "-u", "edgevoice-switch@poweroff")  # in the journal
SWITCHED = {0: "off", 133: "rebooted"}  # how a container ends. Source: nspawn's unit, RestartForceExitStatus=133
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "TERM": "dumb", "LC_ALL": "C"}


class Debian:
    """A container of its own, gone with its folder. It has no network, or this machine's."""

    def __init__(self, tree: Path, suite: str = SUITE, *, network: bool = False) -> None:
        self.tree = tree
        tree.mkdir(parents=True)
        subprocess.run(["tar", "-C", tree, "-xf", _bare(suite)], check=True)
        self._network, self._pip = _network() if network else (["--private-network"], {})
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = ""  # its first process

    def put(self, file: Path) -> str:
        """Copy a file into it; return where it is there."""
        shutil.copy(file, self.tree / "root")
        return f"/root/{file.name}"

    def boot(self, *options: str, up_s: float | None = None) -> None:
        """Switch it on, with more `options` of nspawn's; `up_s`: what it takes for its uptime, by every clock of it."""
        command = ["systemd-nspawn", "-q", "-D", str(self.tree), "--register=no", "--keep-unit", "--boot", *options]
        command += ["--console=pipe", *self._network, "--notify-ready=yes", "systemd.unit=multi-user.target"]
        if up_s is not None:
            more_s = up_s - time.monotonic()
            command = ["unshare", "--time", f"--monotonic={more_s:.0f}", f"--boottime={more_s:.0f}", *command]
        ear = self.tree.parent / "notify"
        ear.unlink(missing_ok=True)
        self._leader = ""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, (self.tree.parent / "console").open("wb") as log:
            told.bind(str(ear))
            told.settimeout(LIMIT_S)
            environment = {**os.environ, "NOTIFY_SOCKET": str(ear)}
            self._nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
            heard = ""
            while "READY=1" not in heard.splitlines():
                heard += told.recv(4096).decode() + "\n"
        self._leader = re.findall(r"^X_NSPAWN_LEADER_PID=(\d+)$", heard, re.MULTILINE)[0]

    def switched(self) -> str:
        """Wait until it switches itself; return how: "off" or "rebooted", and then somebody has to boot it."""
        assert self._nspawn
        return SWITCHED[self._nspawn.wait(LIMIT_S)]

    def run(self, script: str, limit_s: float = 180.0) -> subprocess.CompletedProcess[str]:
        """Run a script in it, as root. It must have ended before the container is switched off.

        Who is left then is stopped first, and nsenter stops likewise: its child cannot die, and the end takes minutes.
        """
        command = ["nsenter", "-t", self._leader, "-a", "bash", "-c", script]
        environment = ENVIRONMENT | self._pip
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit_s, check=False)

    def told(self, script: str, limit_s: float = 180.0) -> str:
        """Run a script that must not fail; return what it prints."""
        done = self.run(script, limit_s)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def property(self, name: str) -> str:
        """Return what systemd knows of the service."""
        return self.told(f"systemctl show -p {name} --value edgevoice")

    def until(self, name: str, value: str) -> None:
        """Wait until systemd knows that of the service: whatever changes, the journal has a line of it."""
        with self._journal("-n", "1") as lines:
            assert any(self.property(name) == value for _ in lines), f"{name} does not become {value}"

    def hear(self, words: str, *, times: int = 1) -> None:
        """Wait until the journal of this boot has so many lines with these words, of what is ours."""
        with self._journal("-n", "all") as lines:
            heard = (line for line in lines if words in line)
            assert len(list(islice(heard, times))) == times, f"it does not say {times} times: {words}"

    def boot_id(self) -> str:
        """Name this boot; it is another one after each."""
        return self.told("cat /proc/sys/kernel/random/boot_id")

    @contextmanager
    def _journal(self, *options: str) -> Iterator[Iterator[str]]:
        """Follow the journal, line by line, until the limit."""
        command = ["nsenter", "-t", self._leader, "-a", "journalctl", "-q", "-b", "-f", "-o", "cat", *OURS, *options]
        following = subprocess.Popen(
            command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        limit = threading.Timer(LIMIT_S, os.killpg, [following.pid, signal.SIGKILL])
        limit.start()
        try:
            with following:  # it ends by itself when nobody reads it any more
                assert following.stdout
                yield following.stdout
        finally:
            limit.cancel()

    def cut_power(self) -> None:
        """Take it away from everything that runs, at once."""
        assert self._nspawn
        os.kill(int(self._leader), signal.SIGKILL)
        self._nspawn.wait(LIMIT_S)

    def stop(self) -> None:
        if self._nspawn and self._nspawn.poll() is None:
            if self._leader:
                self.run("systemctl poweroff")
            try:
                self._nspawn.wait(30)
            except subprocess.TimeoutExpired:
                os.kill(int(self._leader or self._nspawn.pid), signal.SIGKILL)
                self._nspawn.wait(10)


class Packages:
    """Packages of the versions that are wanted, made of the real one."""

    def __init__(self, folder: Path, suite: str = SUITE) -> None:
        folder.mkdir()
        built = subprocess.run(
            [
                sys.executable,
                ROOT / "packaging/deb.py",
                "--suite",
                suite,
                "--arch",
                _arch(),
                "--compression",
                "none",
                "--out",
                folder,
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        self.real = Path(built.stdout.strip())
        self._folder, self._parts = folder, folder / "parts"

    def version(self, version: str, change: Callable[[Path, Path], None] = lambda code, root: None) -> Path:
        """Return a package of that version, whose code or other files are changed."""
        shutil.rmtree(self._parts, ignore_errors=True)
        subprocess.run(["dpkg-deb", "-R", self.real, self._parts], check=True)
        code = self._parts / f"usr/lib/edgevoice/lib/python{PYTHON}/site-packages/edgevoice"
        _replace(self._parts / "DEBIAN/control", r"(?m)^Version: .*", f"Version: {version}{MARK}")
        _replace(self._parts / "DEBIAN/postinst", r'(release add \S+) "[^"]*"', rf'\1 "{version}{MARK}"')
        _replace(code / "__init__.py", r"__version__ = .*", f'__version__ = "{version}"')
        change(code, self._parts)
        package = self._folder / f"edgevoice_{version}{MARK}.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Znone", "-b", self._parts, package], check=True, capture_output=True
        )
        return package


def does_not_start(code: Path, root: Path) -> None:
    _replace(code / "__main__.py", r"(?m)^import sys$", "raise SystemExit(1)")


def hangs(code: Path, root: Path) -> None:
    """It says that it is ready, and after that no word more."""
    _replace(code / "drivers/systemd.py", r"    notify\(watchdog=1\)", "    pass")


def hangs_with_another_unit(code: Path, root: Path) -> None:
    hangs(code, root)
    for unit in root.rglob("edgevoice.service"):
        unit.write_text(unit.read_text() + "# another\n")


def has_a_unit_that_cannot_run(code: Path, root: Path) -> None:
    for unit in root.rglob("edgevoice.service"):
        _replace(unit, r"SupplementaryGroups=audio gpio", "SupplementaryGroups=audio gpio nobody-has-this")


def cannot_reboot(code: Path, root: Path) -> None:
    """It is as versions were before edgevoice-switch@.path."""
    for unit in root.rglob("edgevoice.service"):
        _replace(unit, r"Wants=edgevoice-switch.*\n", "")
        _replace(unit, r"ExecStopPost=rm .*\n", "")
    for unit in root.rglob("edgevoice-switch@.*"):
        unit.unlink()


def _replace(path: Path, pattern: str, by: str) -> None:
    text, times = re.subn(pattern, by, path.read_text())
    assert times, f"{path} has no {pattern}"
    path.write_text(text)


def _network() -> tuple[list[str], dict[str, str]]:
    """Return nspawn's options for this machine's network, and variables by which pip finds what it finds here.

    The files that they name are at /mnt there: Debian's packages write some of them.
    """
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True)
    shared, variables = {"/etc/hosts:/etc/hosts"}, {}
    for name, _, shown in (line.partition("=") for line in listed.stdout.splitlines()):
        words = []
        for word in ast.literal_eval(shown).split():
            path = Path(word.removeprefix("file://"))
            if path.is_absolute() and path.exists():
                place = path.parent if word.startswith("file:") else path  # an index has its files beside it
                shared.add(f"{place}:/mnt{place}")
                word = word.replace(str(path), f"/mnt{path}")
            words.append(word)
        variables[f"PIP_{name.rpartition('.')[2].replace('-', '_').upper()}"] = " ".join(words)
    return [f"--bind-ro={one}" for one in sorted(shared)], variables


def _bare(suite: str) -> Path:
    """Return a bare Debian as an archive, fetched once."""
    archive = CACHE / f"{suite}-{_arch()}.tar"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        include = f"--include={BARE},{ITS_OWN[suite]}"
        options = ["--quiet", "--variant=minbase", include, '--aptopt=APT::Install-Recommends "false"']
        partial = archive.with_name(f"partial-{archive.name}")
        subprocess.run(["mmdebstrap", *options, suite, partial], check=True)
        partial.rename(archive)
    return archive


def _arch() -> str:
    shown = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True)
    return shown.stdout.strip()
